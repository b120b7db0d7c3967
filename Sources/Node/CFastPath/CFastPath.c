#include "CFastPath.h"

#include <bpf/libbpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char by_conntrack[] = {
#embed "objects/by_conntrack.o"
};

static const unsigned char by_sight[] = {
#embed "objects/by_sight.o"
};

struct cfastpath_object cfastpath_object(int asks_conntrack) {
  if (asks_conntrack) return (struct cfastpath_object){by_conntrack, sizeof by_conntrack};
  return (struct cfastpath_object){by_sight, sizeof by_sight};
}

// Without a lock: only one thread at a time calls libbpf.
static char first_warning[512];

static int keep_first_warning(enum libbpf_print_level level, const char *format, va_list arguments) {
  char text[512];
  if (level != LIBBPF_WARN) return 0;
  vsnprintf(text, sizeof text, format, arguments);
  // The verifier's log comes as one text of many lines; libbpf's own messages have one line. The first of these names
  // the cause.
  if (strchr(text, '\n') == text + strlen(text) - 1 && !first_warning[0]) {
    text[strlen(text) - 1] = 0;
    strcpy(first_warning, text);
  }
  return 0;
}

void cfastpath_collect_warnings(void) {
  first_warning[0] = 0;
  libbpf_set_print(keep_first_warning);
}

const char *cfastpath_warning(void) { return first_warning; }
