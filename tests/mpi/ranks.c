/* An MPI program that writes a file a process through tarazu: says what it will write, waits until it is told that its
 * job is in the table, creates, writes, reads the layout back, closes. Rank 0 prints a line for each rank.
 * usage: ranks FOLDER [GO], where GO is a file that says that the job is in the table; without it nobody waits */
#include <errno.h>
#include <fcntl.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tarazu.h"

#define BYTES (64 * 1024)

/* Looks for the file GO, and the pause between two of them: a minute together. */
#define LOOKS 1200
#define PAUSE_NS (50 * 1000 * 1000)

#define CHECK(what)                                                                   \
    do {                                                                              \
        if (!(what)) {                                                                \
            fprintf(stderr, "line %d: %s (errno %d)\n", __LINE__, #what, errno);      \
            MPI_Abort(MPI_COMM_WORLD, 1);                                             \
        }                                                                             \
    } while (0)

static int wait_for(const char *go)
{
    struct timespec pause = {0, PAUSE_NS};
    for (int look = 0; look < LOOKS; look++) {
        if (access(go, F_OK) == 0)
            return 1;
        nanosleep(&pause, NULL);
    }
    return 0;
}

static int target_of(tarazu_session *session, const char *path)
{
    tarazu_layout *layout = NULL;
    CHECK(tarazu_layout_of(session, path, &layout) == 0);
    CHECK(tarazu_layout_components(layout) == 1 && tarazu_layout_stripes(layout, 0) == 1);
    int target = tarazu_layout_target(layout, 0, 0);
    tarazu_layout_free(layout);
    return target;
}

static void write_all(int fd)
{
    static char bytes[BYTES];
    memset(bytes, 'x', sizeof bytes);
    for (size_t done = 0; done < sizeof bytes;) {
        ssize_t wrote = write(fd, bytes + done, sizeof bytes - done);
        CHECK(wrote > 0);
        done += (size_t)wrote;
    }
}

int main(int argc, char **argv)
{
    int rank, world, is_there = 1;
    char path[4096], text[4096];

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &world);
    CHECK(argc == 2 || argc == 3);

    tarazu_session *session = tarazu_session_open(NULL);
    CHECK(session != NULL);
    tarazu_expect expect = {0};
    expect.expected_bytes = 64ull << 30;
    expect.files_per_process = 1;
    expect.confidence_percent = 95;
    int told = tarazu_advise(session, argv[1], &expect);
    CHECK(told == 0 || told == TARAZU_ENOTTOLD);

    if (argc == 3 && rank == 0)
        is_there = wait_for(argv[2]);
    MPI_Bcast(&is_there, 1, MPI_INT, 0, MPI_COMM_WORLD);
    CHECK(is_there);

    snprintf(path, sizeof path, "%s/rank-%d.dat", argv[1], rank);
    int fd = tarazu_create(session, path, O_CREAT | O_EXCL | O_WRONLY, 0644);
    CHECK(fd >= 0);
    write_all(fd);
    CHECK(tarazu_closed(session, fd, BYTES) == 0);
    CHECK(close(fd) == 0);
    int mine[3] = {told, target_of(session, path), 0};
    CHECK(tarazu_explain(session, path, text, sizeof text) > 0);
    mine[2] = strstr(text, "reason   steered") != NULL;
    tarazu_session_close(session);

    int *all = rank == 0 ? malloc(sizeof mine * (size_t)world) : NULL;
    MPI_Gather(mine, 3, MPI_INT, all, 3, MPI_INT, 0, MPI_COMM_WORLD);
    for (int other = 0; rank == 0 && other < world; other++)
        printf("rank %d told %d target %d steered %d\n", other, all[3 * other], all[3 * other + 1], all[3 * other + 2]);
    free(all);
    MPI_Finalize();
    return 0;
}
