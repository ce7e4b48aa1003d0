/* Uses every function of tarazu.h, rightly and wrongly. Prints "target N" for each file that it makes.
 * usage: session FOLDER */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tarazu.h"

#define CHECK(what)                                                                   \
    do {                                                                              \
        if (!(what)) {                                                                \
            fprintf(stderr, "line %d: %s (errno %d)\n", __LINE__, #what, errno);      \
            exit(1);                                                                  \
        }                                                                             \
    } while (0)

static void nulls(const char *folder)
{
    char text[16];
    tarazu_expect expect = {0};
    tarazu_layout *layout = NULL;

    CHECK(tarazu_options_set(NULL, "TARAZU_MODE", "apply") == TARAZU_EINVAL);
    CHECK(tarazu_options_set_rank(NULL, 0, 1) == TARAZU_EINVAL);
    CHECK(tarazu_options_set_job(NULL, 1) == TARAZU_EINVAL);
    tarazu_options_free(NULL);
    tarazu_session_close(NULL);
    tarazu_layout_free(NULL);
    CHECK(tarazu_advise(NULL, folder, &expect) == TARAZU_EINVAL);
    CHECK(tarazu_closed(NULL, 1, 0) == TARAZU_EINVAL);
    CHECK(tarazu_layout_of(NULL, folder, &layout) == TARAZU_EINVAL);
    CHECK(tarazu_layout_components(NULL) == TARAZU_EINVAL);
    CHECK(tarazu_layout_stripes(NULL, 0) == TARAZU_EINVAL);
    CHECK(tarazu_layout_stripe_size(NULL, 0) == 0);
    CHECK(tarazu_layout_target(NULL, 0, 0) == TARAZU_EINVAL);
    CHECK(tarazu_explain(NULL, folder, text, sizeof text) == TARAZU_EINVAL);

    tarazu_session *session = tarazu_session_open(NULL);
    CHECK(session != NULL);
    CHECK(tarazu_create(session, NULL, O_RDONLY, 0) == -1 && errno == EFAULT);
    CHECK(tarazu_advise(session, NULL, &expect) == TARAZU_EINVAL);
    CHECK(tarazu_advise(session, folder, NULL) == TARAZU_EINVAL);
    CHECK(tarazu_closed(session, -1, 0) == TARAZU_EINVAL);
    CHECK(tarazu_layout_of(session, NULL, &layout) == TARAZU_EINVAL);
    CHECK(tarazu_layout_of(session, folder, NULL) == TARAZU_EINVAL);
    CHECK(tarazu_explain(session, NULL, text, sizeof text) == TARAZU_EINVAL);
    tarazu_session_close(session);
}

/* Without a session it is open(). */
static void plain(const char *folder)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/plain", folder);
    int fd = tarazu_create(NULL, path, O_CREAT | O_EXCL | O_WRONLY, 0600);
    CHECK(fd >= 0);
    close(fd);
    CHECK(tarazu_create(NULL, path, O_CREAT | O_EXCL | O_WRONLY, 0600) == -1 && errno == EEXIST);
    CHECK(unlink(path) == 0);
}

static int target_of(tarazu_session *session, const char *path)
{
    tarazu_layout *layout = NULL;
    CHECK(tarazu_layout_of(session, path, &layout) == 0 && layout != NULL);
    CHECK(tarazu_layout_components(layout) == 1);
    CHECK(tarazu_layout_stripes(layout, 0) == 1);
    CHECK(tarazu_layout_stripe_size(layout, 0) > 0);
    CHECK(tarazu_layout_stripes(layout, 1) == TARAZU_EINVAL);
    CHECK(tarazu_layout_target(layout, 0, 1) == TARAZU_EINVAL);
    int target = tarazu_layout_target(layout, 0, 0);
    tarazu_layout_free(layout);
    return target;
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    const char *folder = argv[1];
    nulls(folder);
    plain(folder);

    tarazu_options *options = tarazu_options_new();
    CHECK(options != NULL);
    CHECK(tarazu_options_set(options, "TARAZU_MODE", "apply") == 0);
    CHECK(tarazu_options_set(options, "TARAZU_MODE", "sideways") == TARAZU_EINVAL);
    CHECK(tarazu_options_set(options, "TARAZU_NOTHING", "1") == TARAZU_EINVAL);
    CHECK(tarazu_options_set(options, NULL, "1") == TARAZU_EINVAL);
    CHECK(tarazu_options_set_rank(options, 3, 3) == TARAZU_EINVAL);
    CHECK(tarazu_options_set_rank(options, 0, 1) == 0);
    CHECK(tarazu_options_set_job(options, 4711) == 0);
    tarazu_session *session = tarazu_session_open(options);
    CHECK(session != NULL);

    tarazu_expect expect = {0};
    expect.like = "x.h5";
    expect.expected_bytes = 1 << 30;
    expect.files_per_process = 5;
    expect.confidence_percent = 90;
    CHECK(tarazu_advise(session, folder, &expect) == 0);

    for (int number = 0; number < 5; number++) {
        char path[4096], text[4096], back[8] = {0};
        snprintf(path, sizeof path, "%s/file%d", folder, number);
        errno = 77;
        int fd = tarazu_create(session, path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0640);
        CHECK(fd >= 0 && errno == 77);
        CHECK(write(fd, "data", 4) == 4);
        CHECK(tarazu_closed(session, fd, 4) == 0);
        close(fd);
        CHECK(tarazu_create(session, path, O_CREAT | O_EXCL | O_RDWR, 0640) == -1 && errno == EEXIST);
        fd = open(path, O_RDONLY);
        CHECK(fd >= 0 && read(fd, back, sizeof back) == 4 && memcmp(back, "data", 4) == 0);
        close(fd);
        printf("target %d\n", target_of(session, path));

        int length = tarazu_explain(session, path, text, sizeof text);
        CHECK(length > 0 && (size_t)length == strlen(text) && strstr(text, "steered") != NULL);
        CHECK(tarazu_explain(session, path, text, 5) == length && strlen(text) == 4);
        CHECK(tarazu_explain(session, path, NULL, 0) == length);
    }
    tarazu_layout *layout = NULL;
    char absent[4096];
    snprintf(absent, sizeof absent, "%s/absent", folder);
    CHECK(tarazu_layout_of(session, absent, &layout) == TARAZU_ELAYOUT && errno == ENOENT && layout == NULL);
    CHECK(tarazu_explain(session, absent, NULL, 0) == TARAZU_ELAYOUT);
    tarazu_session_close(session);
    return 0;
}
