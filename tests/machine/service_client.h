/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest started with nestbox run, and a client of its socket that says what it likes, byte for
 * byte, for tests. Whatever does not come within WAIT_SECONDS fails the test.
 */
#ifndef TESTS_MACHINE_SERVICE_CLIENT_H
#define TESTS_MACHINE_SERVICE_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define WAIT_SECONDS 60

struct served {
	pid_t pid;
	char path[128]; /* its socket */
};

/*
 * Starts "nestbox run --socket DIRECTORY/NAME.sock" with more arguments, ended by NULL, and waits
 * until it serves. Fails the test where it does not.
 */
void served_start(struct served *served, const char *name, const char *const *more);

/* Waits for its end. Returns its exit status, or 128 and the signal. */
int served_wait(struct served *served);

/* A directory of this test program's, made at the first call; and its end. */
const char *served_directory(void);
void served_remove_directory(void);

/* Runs a program of the build directory; its exit status, output (at most @size - 1) in @text. */
int run_program(const char *const *argv, char *text, size_t size);

/* A connection, greeted; and negotiated unless @raw. */
int client_open(const struct served *served, bool raw);

/* Sends bytes, all of them; false where the other end has gone. */
bool client_say(int fd, const void *bytes, size_t size);
bool client_say_text(int fd, const char *text);

/* The next message, or NULL at the end. */
json_t *client_hear(int fd);

/* The next event of that name; others, and answers, are passed over. */
json_t *client_hear_event(int fd, const char *name);

/* Says @text and hears its answer, events passed over: the whole message. */
json_t *client_ask(int fd, const char *text);

/* client_ask(), which must be answered with "return": that, a new reference. */
json_t *client_return(int fd, const char *text);

/*
 * client_return() of @command with the arguments that @format makes, in which ' stands for ".
 */
json_t *client_do(int fd, const char *command, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* A member that must be there: a number, also of "0x..."; a string. */
uint64_t member_number(const json_t *object, const char *key);
const char *member_text(const json_t *object, const char *key);

/* client_ask(), which must be answered with an error whose desc holds @part. */
void client_refused(int fd, const char *text, const char *part);

#endif
