/* One value of a bbolt database (containerd's meta.db), read-only.
 *
 * The file is pages: two metas, then B+ trees of buckets within buckets.  The
 * writer copies what it changes, so that a reader of the newer meta sees one
 * state; what it does not (pages used again meanwhile) fails a check here and
 * is read anew with the next try.  Numbers are little-endian, as every machine
 * that runs containerd has them.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "owner/owner_private.h"

#define MAGIC       UINT32_C(0xed0cdaed)
#define VERSION     2
#define HEAD_SIZE   16 /* of a page; of an element */
#define META_SIZE   64 /* with its checksum */
#define FLAG_BRANCH 0x01
#define FLAG_LEAF   0x02
#define FLAG_BUCKET 0x01
#define PAGE_MAX    ((size_t)1024 * 1024)
#define DEPTH_MAX   32

struct node {
	const uint8_t *bytes;
	size_t size;
};

struct bolt {
	int fd;
	uint32_t page_size;
	uint64_t root, txid;
	uint8_t *page; /* PAGE_MAX bytes */
};

static uint16_t load16(const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof value);
	return le16toh(value);
}

static uint32_t load32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof value);
	return le32toh(value);
}

static uint64_t load64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof value);
	return le64toh(value);
}

static bool read_at(const struct bolt *bolt, uint64_t offset, size_t size)
{
	if (size > PAGE_MAX || offset > INT64_MAX - (uint64_t)PAGE_MAX)
		return false;
	return pread(bolt->fd, bolt->page, size, (off_t)offset) ==
	       (ssize_t)size;
}

/* FNV-1a of all but the checksum itself. */
static bool meta_sound(const uint8_t *meta)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < META_SIZE - 8; i++)
		hash = (hash ^ meta[i]) * UINT64_C(0x100000001b3);
	return load32(meta) == MAGIC && load32(meta + 4) == VERSION &&
	       load64(meta + META_SIZE - 8) == hash;
}

static void meta_take(struct bolt *bolt, uint64_t offset)
{
	const uint8_t *meta = bolt->page + HEAD_SIZE;

	if (!read_at(bolt, offset, HEAD_SIZE + META_SIZE) ||
	    !meta_sound(meta) || load32(meta + 8) < 1024 ||
	    load32(meta + 8) > 65536 ||
	    (bolt->page_size != 0 && load64(meta + 48) <= bolt->txid))
		return;
	bolt->page_size = load32(meta + 8);
	bolt->root = load64(meta + 16);
	bolt->txid = load64(meta + 48);
}

/* The second meta is a page behind the first, whose size the first has, or
 * which is that of this machine. */
static bool meta_read(struct bolt *bolt)
{
	meta_take(bolt, 0);
	meta_take(bolt, bolt->page_size ? bolt->page_size
					: (uint64_t)sysconf(_SC_PAGESIZE));
	return bolt->page_size != 0;
}

static bool page_read(const struct bolt *bolt, uint64_t number,
		      struct node *ret_node)
{
	uint64_t offset, size;

	if (__builtin_mul_overflow(number, bolt->page_size, &offset) ||
	    !read_at(bolt, offset, HEAD_SIZE))
		return false;
	size = (1 + (uint64_t)load32(bolt->page + 12)) * bolt->page_size;
	if (load64(bolt->page) != number || size > PAGE_MAX ||
	    !read_at(bolt, offset, size))
		return false;
	*ret_node = (struct node){bolt->page, size};
	return true;
}

/* An element's key; its place counts from the element itself. */
static bool key_of(struct node node, size_t element, size_t field,
		   struct node *ret_key)
{
	const uint8_t *at = node.bytes + element;
	uint64_t place = element + load32(at + field);
	uint64_t size = load32(at + field + 4);

	if (place + size > node.size)
		return false;
	*ret_key = (struct node){node.bytes + place, size};
	return true;
}

static int compare(struct node key, const char *wanted)
{
	size_t length = strlen(wanted);
	size_t both = key.size < length ? key.size : length;
	int order = memcmp(key.bytes, wanted, both);

	return order ? order : (key.size > length) - (key.size < length);
}

/* The child in which 'wanted' would be: the last that begins no later. */
static bool branch_find(struct node node, const char *wanted,
			uint64_t *ret_child)
{
	struct node key;
	bool found = false;

	for (size_t i = 0; i < load16(node.bytes + 10); i++) {
		size_t element = HEAD_SIZE + i * HEAD_SIZE;

		if (element + HEAD_SIZE > node.size ||
		    !key_of(node, element, 0, &key))
			return false;
		if (i > 0 && compare(key, wanted) > 0)
			break;
		*ret_child = load64(node.bytes + element + 8);
		found = true;
	}
	return found;
}

static bool leaf_find(struct node node, const char *wanted,
		      struct node *ret_value, bool *ret_bucket)
{
	struct node key;

	for (size_t i = 0; i < load16(node.bytes + 10); i++) {
		size_t element = HEAD_SIZE + i * HEAD_SIZE;
		uint64_t size;

		if (element + HEAD_SIZE > node.size ||
		    !key_of(node, element, 4, &key))
			return false;
		if (compare(key, wanted) != 0)
			continue;
		size = load32(node.bytes + element + 12);
		if ((uint64_t)(key.bytes - node.bytes) + key.size + size >
		    node.size)
			return false;
		*ret_value = (struct node){key.bytes + key.size, size};
		*ret_bucket = load32(node.bytes + element) & FLAG_BUCKET;
		return true;
	}
	return false;
}

/* From a tree's top down to the leaf's value. */
static bool tree_find(const struct bolt *bolt, struct node node,
		      const char *wanted, struct node *ret_value,
		      bool *ret_bucket)
{
	for (int depth = 0; depth < DEPTH_MAX; depth++) {
		uint16_t flags;
		uint64_t child;

		if (node.size < HEAD_SIZE)
			return false;
		flags = load16(node.bytes + 8);
		if (flags & FLAG_LEAF)
			return leaf_find(node, wanted, ret_value, ret_bucket);
		if (!(flags & FLAG_BRANCH) ||
		    !branch_find(node, wanted, &child) ||
		    !page_read(bolt, child, &node))
			return false;
	}
	return false;
}

/* A bucket's value has its top page's number, or the page itself behind. */
static bool bucket_open(const struct bolt *bolt, struct node value,
			struct node *ret_node)
{
	if (value.size < HEAD_SIZE)
		return false;
	if (load64(value.bytes) != 0)
		return page_read(bolt, load64(value.bytes), ret_node);
	*ret_node =
		(struct node){value.bytes + HEAD_SIZE, value.size - HEAD_SIZE};
	return true;
}

static bool keys_find(const struct bolt *bolt, const char *const *keys,
		      size_t count, struct node *ret_value)
{
	struct node node;
	bool bucket;

	if (!page_read(bolt, bolt->root, &node))
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!tree_find(bolt, node, keys[i], ret_value, &bucket) ||
		    bucket != (i + 1 < count))
			return false;
		if (bucket && !bucket_open(bolt, *ret_value, &node))
			return false;
	}
	return true;
}

int owner_bolt_get(int fd, const char *const *keys, size_t count,
		   char *ret_text, size_t size)
{
	struct bolt bolt = {.fd = fd, .page = malloc(PAGE_MAX)};
	struct node value = {NULL, 0};
	int rc = -EBADMSG;

	if (!bolt.page)
		return -ENOMEM;
	if (meta_read(&bolt)) {
		rc = -ENOENT;
		if (keys_find(&bolt, keys, count, &value) &&
		    value.size < size) {
			memcpy(ret_text, value.bytes, value.size);
			ret_text[value.size] = 0;
			rc = 0;
		}
	}
	free(bolt.page);
	return rc;
}

void owner_bolt_image(struct owner_table *table, const char *space,
		      const char *id, struct owner_facts *facts)
{
	const char *const keys[] = {"v1", space, "containers", id, "image"};
	char path[OWNER_PATH_SIZE];
	int fd, rc;

	for (size_t i = 0; i < table->folder_count && facts->image[0] == 0;
	     i++) {
		if (table->folders[i].runtime != OWNER_RUNTIME_CONTAINERD)
			continue;
		snprintf(path, sizeof path,
			 "%s/io.containerd.metadata.v1.bolt/meta.db",
			 table->folders[i].path);
		fd = owner_place_open(table, (struct place){path, SIZE_MAX}, 0);
		if (fd < 0)
			continue;
		rc = owner_bolt_get(fd, keys, 5, facts->image,
				    sizeof facts->image);
		close(fd);
		if (rc == -EBADMSG)
			owner_file_bad(table, path);
	}
}
