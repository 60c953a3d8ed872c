/* Names of users, asked for once each. */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "owner/owner_private.h"

static struct user *user_find(struct owner_table *table, uint32_t uid)
{
	for (size_t i = 0; i < table->user_count; i++) {
		if (table->users[i].uid == uid)
			return &table->users[i];
	}
	return NULL;
}

const char *owner_user_known(struct owner_table *table, uint32_t uid)
{
	const struct user *user = user_find(table, uid);

	if (!user)
		table->users_wanted = true;
	return user && user->name[0] ? user->name : NULL;
}

/* "root:x:0:..." of etc/passwd below the root. */
static void passwd_read(struct owner_table *table, struct user *user)
{
	struct file file;
	char *save, *line;

	if (owner_file_read(table, (struct place){"/etc/passwd", SIZE_MAX},
			    &file) != 0)
		return;
	for (line = strtok_r(file.bytes, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char name[sizeof user->name];
		unsigned int uid;

		if (sscanf(line, "%63[^:]:%*[^:]:%u:", name, &uid) == 2 &&
		    uid == user->uid) {
			owner_text_copy(user->name, sizeof user->name, name);
			break;
		}
	}
	free(file.bytes);
}

static void service_ask(struct user *user)
{
	struct passwd entry, *found = NULL;
	char text[4096];

	if (getpwuid_r(user->uid, &entry, text, sizeof text, &found) == 0 &&
	    found && strlen(entry.pw_name) < sizeof user->name)
		owner_text_copy(user->name, sizeof user->name, entry.pw_name);
}

const char *owner_user_name(struct owner_table *table, uint32_t uid)
{
	struct user *user = user_find(table, uid);

	if (!user && table->user_count < OWNER_USERS) {
		user = &table->users[table->user_count++];
		user->uid = uid;
		if (table->rooted || table->options.passwd_only)
			passwd_read(table, user);
		else
			service_ask(user);
	}
	return user && user->name[0] ? user->name : NULL;
}
