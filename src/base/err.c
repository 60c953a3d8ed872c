#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ERR_SENTENCE(name, sentence) [name##_INDEX] = sentence,
static const char *const sentences[] = {ERR_TABLE(ERR_SENTENCE)};
#undef ERR_SENTENCE

const char *err_sentence(int code)
{
	if (code > ERR_BASE)
		return strerrordesc_np(code < 0 ? -code : code)
			       ?: "unknown error";
	if (ERR_BASE - code < ERR_COUNT)
		return sentences[ERR_BASE - code];
	return "unknown error";
}

int fault_set(struct fault *fault, int code, const char *format, ...)
{
	va_list arguments;

	if (!fault)
		return code;
	va_start(arguments, format);
	vsnprintf(fault->text, sizeof fault->text, format, arguments);
	va_end(arguments);
	for (char *at = fault->text; *at; at++) { /* a sentence is one line */
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			*at = '?';
	}
	return code;
}
