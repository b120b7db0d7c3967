// Runs commands and prints what each of them cost from outside: spawn, exec, standard input, exit, wait.
//
//   stopwatch OUTPUT < JOBS
//
// A line of JOBS is a command. Its fields are separated by tabs: a number, the file for its standard input, NAME=VALUE …
// (its whole environment), --, program, arguments. Successive lines with the same number run in parallel, all others one
// after the other. The commands write to OUTPUT. When a command has ended, a line is printed:
//
//   number  line  start (ns)  end (ns)  user (us)  system (us)  peak memory (KiB)  exit status
//
// The parent is a small static program that spawns without a copy of itself: the memory of the parent is a lower limit
// for the peak of its child (ru_maxrss survives exec), and a fork of a large parent takes time. The times and the peak
// memory of a command include the children that it waited for.
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST_AT_ONCE = 1024, MOST_FIELDS = 64 };

struct job {
  char *line, *fields[MOST_FIELDS], **program;
  long number, index;
  pid_t pid;
  int64_t start;
};

static struct job jobs[MOST_AT_ONCE];

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000ll + time.tv_nsec;
}

static int64_t microseconds(struct timeval time) { return time.tv_sec * 1000000ll + time.tv_usec; }

static void die(const char *what) {
  perror(what);
  exit(1);
}

// Splits a line: fields[0] is the number, fields[1] the input, and the environment begins at fields[2].
static int parse(struct job *job, long index) {
  int count = 0;
  job->program = NULL;
  job->index = index;
  job->line[strcspn(job->line, "\n")] = 0;
  for (char *rest = job->line, *field; (field = strsep(&rest, "\t"));) {
    if (count == MOST_FIELDS - 1) return 0;
    job->fields[count] = field;
    // The environment ends here.
    if (!job->program && !strcmp(field, "--")) {
      job->fields[count] = NULL;
      job->program = &job->fields[count + 1];
    }
    count++;
  }
  job->fields[count] = NULL;
  if (count < 4 || !job->program || !job->program[0]) return 0;
  job->number = atol(job->fields[0]);
  return 1;
}

static void start(struct job *job, posix_spawn_file_actions_t *actions) {
  job->start = now();
  if (posix_spawn(&job->pid, job->program[0], actions, NULL, job->program, &job->fields[2])) die(job->program[0]);
}

// Runs these jobs in parallel.
static void run(struct job *jobs, int count, int output) {
  static posix_spawn_file_actions_t actions[MOST_AT_ONCE];
  for (int index = 0; index < count; index++) {
    posix_spawn_file_actions_init(&actions[index]);
    posix_spawn_file_actions_addopen(&actions[index], 0, jobs[index].fields[1], O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions[index], output, 1);
  }
  for (int index = 0; index < count; index++) start(&jobs[index], &actions[index]);
  for (int left = count; left; left--) {
    int status;
    struct rusage usage;
    pid_t pid = wait4(-1, &status, 0, &usage);
    int64_t end = now();
    if (pid < 0) die("wait4");
    struct job *job = jobs;
    while (job->pid != pid) job++;
    printf("%ld %ld %lld %lld %lld %lld %ld %d\n", job->number, job->index, (long long)job->start, (long long)end,
           (long long)microseconds(usage.ru_utime), (long long)microseconds(usage.ru_stime), usage.ru_maxrss,
           WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  }
  for (int index = 0; index < count; index++) {
    posix_spawn_file_actions_destroy(&actions[index]);
    free(jobs[index].line);
  }
}

int main(int argc, char **argv) {
  int output = argc == 2 ? open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
  if (output < 0) die("usage: stopwatch OUTPUT < JOBS");
  int count = 0;
  char *line = NULL;
  size_t room = 0;
  for (long index = 0; getline(&line, &room, stdin) > 0; index++, line = NULL, room = 0) {
    struct job job = {.line = line};
    if (!parse(&job, index)) {
      fprintf(stderr, "stopwatch: line %ld is not a job\n", index + 1);
      return 1;
    }
    if (count && (jobs[0].number != job.number || count == MOST_AT_ONCE)) {
      run(jobs, count, output);
      count = 0;
    }
    jobs[count] = job;
    // parse() set a pointer to the fields of `job`.
    jobs[count].program = jobs[count].fields + (job.program - job.fields);
    count++;
  }
  if (count) run(jobs, count, output);
  return 0;
}
