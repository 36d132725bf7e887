#include "bench/hearth_process.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "api/http_client.h"
#include "base/clock.h"
#include "tests/support/file.h"

#define READY_DEADLINE_NS INT64_C(30000000000)

/* A port nobody listens on; somebody may take it before hearth does, and then it says so. */
static int find_free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof(at)) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0)
        bench_must(ERR_IO, NULL, "free port");
    close(fd);
    return ntohs(at.sin_port);
}

/* In the child: the server, which the kernel kills when the benchmark is gone, however it ended. */
static _Noreturn void become_server(const char *binary, char **arguments, int log, pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent &&
        dup2(log, STDOUT_FILENO) >= 0 && dup2(log, STDERR_FILENO) >= 0)
        execv(binary, arguments);
    _exit(127);
}

static void spawn(struct hearth_process *h, const char *binary)
{
    char listen[32], data[TMPDIR_PATH_SIZE + 8], path[TMPDIR_PATH_SIZE + 8];
    char threads[8];
    snprintf(listen, sizeof(listen), "127.0.0.1:%d", h->port);
    snprintf(threads, sizeof(threads), "%s", bench_setting("threads", "1"));
    tmpdir_path(&h->dir, "data", data, sizeof(data));
    tmpdir_path(&h->dir, "log", path, sizeof(path));
    char *arguments[] = {"hearth", "serve",     "--listen", listen, "--data",
                         data,     "--threads", threads,    NULL};
    pid_t parent = getpid();
    int log = open(path, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    h->pid = log < 0 ? -1 : fork();
    if (h->pid < 0)
        bench_must(ERR_IO, NULL, strerror(errno));
    if (h->pid == 0)
        become_server(binary, arguments, log, parent);
    close(log);
}

static bool is_ready(const struct hearth_process *h)
{
    struct http_url url = {.host = "127.0.0.1"};
    struct http_client *client = NULL;
    struct http_client_answer answer;
    snprintf(url.port, sizeof(url.port), "%d", h->port);
    http_client_answer_init(&answer, 1 << 16);
    bench_must(http_client_create(&url, 5000, &client, NULL), NULL, "http_client_create");
    struct http_client_request request = {.target = BYTES("/readyz")};
    bool ready =
        http_client_send(client, &request, &answer, NULL) == ERR_OK && answer.status == 200;
    http_client_destroy(client);
    http_client_answer_close(&answer);
    return ready;
}

static void show_log(const struct hearth_process *h)
{
    char path[TMPDIR_PATH_SIZE + 8];
    struct bytes log = {0};
    if (file_read(tmpdir_path(&h->dir, "log", path, sizeof(path)), &log))
        fprintf(stderr, "%.*s", (int)log.len, (const char *)log.data);
    file_free(&log);
}

bool hearth_process_start(struct bench *b, struct hearth_process *ret)
{
    const char *binary = bench_setting("hearth", HEARTH_BINARY);
    if (access(binary, X_OK) != 0) {
        bench_skip(b, "no program at %s (setting hearth=PATH)", binary);
        return false;
    }
    struct hearth_process h = {.port = find_free_port(), .dir = tmpdir_make()};
    spawn(&h, binary);
    int64_t until_ns = clock_steady_ns() + READY_DEADLINE_NS;
    while (!is_ready(&h)) {
        bool gone = waitpid(h.pid, NULL, WNOHANG) == h.pid;
        if (gone || clock_steady_ns() > until_ns) {
            show_log(&h);
            if (!gone)
                kill(h.pid, SIGKILL);
            tmpdir_remove(&h.dir);
            bench_must(ERR_IO, NULL, "hearth did not get ready");
        }
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL); /* the condition is asked again */
    }
    *ret = h;
    return true;
}

uint64_t hearth_process_peak(const struct hearth_process *h)
{
    char path[64], line[256];
    uint64_t kib = 0;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)h->pid);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return 0;
    while (fgets(line, sizeof(line), f) != NULL)
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtoull(line + 6, NULL, 10);
    (void)fclose(f);
    return kib << 10;
}

void hearth_process_stop(struct hearth_process *h)
{
    kill(h->pid, SIGTERM);
    waitpid(h->pid, NULL, 0);
    tmpdir_remove(&h->dir);
}
