/*
 * Marks all flows of the table with libnetfilter_conntrack, in the usual way: nfct_query() sends one update and waits for
 * its ACK.
 *
 * lnfct STRIDE [EVERY ZONE]: in the order of the other programs. For one flow in EVERY, the request names a zone without
 * the flow. It prints the seconds, the number of marked flows, and the number of missing flows.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <libnetfilter_conntrack/libnetfilter_conntrack.h>

static struct nf_conntrack **flows;
static size_t count;

static void check(int holds, const char *what)
{
	if (!holds) {
		perror(what);
		exit(1);
	}
}

static int keep(enum nf_conntrack_msg_type type, struct nf_conntrack *flow, void *data)
{
	(void)type;
	(void)data;
	/* Twice the room at each power of two. */
	if ((count & (count - 1)) == 0) {
		flows = realloc(flows, (count ? 2 * count : 1) * sizeof(*flows));
		check(flows != NULL, "realloc");
	}
	flows[count++] = flow;
	return NFCT_CB_STOLEN;
}

/* What names the flow: an update with all that a dump shows would set all of it. */
static struct nf_conntrack *name(const struct nf_conntrack *flow)
{
	struct nf_conntrack *name = nfct_new();

	check(name != NULL, "nfct_new");
	nfct_copy(name, flow, NFCT_CP_ORIG);
	if (nfct_attr_is_set(flow, ATTR_ZONE))
		nfct_copy_attr(name, flow, ATTR_ZONE);
	return name;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	size_t stride = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
	size_t every = argc > 3 ? strtoul(argv[2], NULL, 10) : 0;
	size_t zone = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
	size_t index, marked = 0, gone = 0;
	uint32_t family = AF_UNSPEC;
	struct nf_conntrack **names;
	struct nfct_handle *handle = nfct_open(CONNTRACK, 0);
	double start;

	check(handle != NULL, "nfct_open");
	nfct_callback_register(handle, NFCT_T_ALL, keep, NULL);
	check(nfct_query(handle, NFCT_Q_DUMP, &family) == 0, "the dump");
	nfct_callback_unregister(handle);
	names = calloc(count + 1, sizeof(*names));
	check(names != NULL, "calloc");
	if (count % stride == 0)
		stride = 1;
	for (index = 0; index < count; index++) {
		names[index] = name(flows[index * stride % count]);
		if (every != 0 && index % every == 0)
			nfct_set_attr_u16(names[index], ATTR_ZONE, zone);
	}

	start = now();
	for (index = 0; index < count; index++) {
		nfct_set_attr_u32(names[index], ATTR_MARK, index + 1);
		if (nfct_query(handle, NFCT_Q_UPDATE, names[index]) == 0) {
			marked++;
		} else {
			check(errno == ENOENT, "an update");
			gone++;
		}
	}
	printf("%.9f %zu %zu\n", now() - start, marked, gone);
	return 0;
}
