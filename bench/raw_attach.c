/* The least that the kernel needs to attach one container to a bridge, over rtnetlink: a veth pair born in both
 * namespaces and enslaved, then address, lo up, interface up and default route in one batch.
 *
 *   raw_attach COUNT
 *
 * Makes a network namespace of its own with a bridge, and COUNT more; prints the microseconds of each attach as a
 * JSON list. Everything goes with the process. Opening the socket inside the namespace belongs to the time taken:
 * no engine can attach without.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char out[8192], in[65536];
static size_t used;   /* bytes of `out` */
static int requests;  /* messages in `out` */

static void die(const char *what) { perror(what); exit(1); }

static double microseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

static int route_socket(void) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), one = 1;
  if (fd < 0) die("socket");
  setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof one);
  return fd;
}

static struct nlmsghdr *begin(int type, int flags, const void *body, int length) {
  struct nlmsghdr *message = (void *)(out + used);
  memset(message, 0, NLMSG_SPACE(length));
  message->nlmsg_len = NLMSG_LENGTH(length);
  message->nlmsg_type = type;
  message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
  memcpy(NLMSG_DATA(message), body, length);
  return message;
}

static struct rtattr *put(struct nlmsghdr *message, int type, const void *data, int length) {
  struct rtattr *attribute = (void *)((char *)message + NLMSG_ALIGN(message->nlmsg_len));
  attribute->rta_type = type;
  attribute->rta_len = RTA_LENGTH(length);
  if (length) memcpy(RTA_DATA(attribute), data, length);
  message->nlmsg_len = NLMSG_ALIGN(message->nlmsg_len) + RTA_ALIGN(attribute->rta_len);
  return attribute;
}

static void close_nest(struct nlmsghdr *message, struct rtattr *nest) {
  nest->rta_len = (char *)message + message->nlmsg_len - (char *)nest;
}

static void end(struct nlmsghdr *message) {
  used += NLMSG_ALIGN(message->nlmsg_len);
  requests++;
}

static void commit(int fd) {
  if (send(fd, out, used, 0) < 0) die("send");
  while (requests > 0) {
    int length = recv(fd, in, sizeof in, 0);
    if (length < 0) die("recv");
    for (struct nlmsghdr *reply = (void *)in; NLMSG_OK(reply, (unsigned)length); reply = NLMSG_NEXT(reply, length)) {
      if (reply->nlmsg_type != NLMSG_ERROR) continue;
      struct nlmsgerr *error = NLMSG_DATA(reply);
      if (error->error) { errno = -error->error; die("netlink"); }
      requests--;
    }
  }
  used = 0;
}

static void add_bridge(int fd) {
  struct ifinfomsg link = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP};
  struct nlmsghdr *message = begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &link, sizeof link);
  put(message, IFLA_IFNAME, "bridge0", 8);
  struct rtattr *info = put(message, IFLA_LINKINFO, NULL, 0);
  put(message, IFLA_INFO_KIND, "bridge", 6);
  close_nest(message, info);
  end(message);
  commit(fd);
}

static void add_veth(int fd, int number, int bridge, int namespace) {
  char name[IFNAMSIZ];
  snprintf(name, sizeof name, "v%d", number);
  struct ifinfomsg link = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP}, peer = {0};
  struct nlmsghdr *message = begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &link, sizeof link);
  put(message, IFLA_IFNAME, name, strlen(name) + 1);
  put(message, IFLA_MASTER, &bridge, sizeof bridge);
  struct rtattr *info = put(message, IFLA_LINKINFO, NULL, 0);
  put(message, IFLA_INFO_KIND, "veth", 4);
  struct rtattr *data = put(message, IFLA_INFO_DATA, NULL, 0);
  /* The peer cannot be up yet: veth_open wants both ends paired (ENOTCONN). */
  struct rtattr *other = put(message, VETH_INFO_PEER, &peer, sizeof peer);
  put(message, IFLA_IFNAME, "eth0", 5);
  put(message, IFLA_NET_NS_FD, &namespace, sizeof namespace);
  close_nest(message, other);
  close_nest(message, data);
  close_nest(message, info);
  end(message);
  commit(fd);
}

static void up(int index) {
  struct ifinfomsg link = {.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
  end(begin(RTM_NEWLINK, 0, &link, sizeof link));
}

static void configure(int fd, int number, int index) {
  unsigned address = htonl(0x0a630002u + number), gateway = htonl(0x0a630001u); /* 10.99.0.0/16 */
  struct ifaddrmsg owner = {.ifa_family = AF_INET, .ifa_prefixlen = 16, .ifa_index = index};
  struct nlmsghdr *message = begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &owner, sizeof owner);
  put(message, IFA_LOCAL, &address, sizeof address);
  put(message, IFA_ADDRESS, &address, sizeof address);
  end(message);
  up(1);
  up(index);
  struct rtmsg route = {.rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_BOOT,
                        .rtm_scope = RT_SCOPE_UNIVERSE, .rtm_type = RTN_UNICAST};
  message = begin(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &route, sizeof route);
  put(message, RTA_GATEWAY, &gateway, sizeof gateway);
  put(message, RTA_OIF, &index, sizeof index);
  end(message);
  commit(fd);
}

static int own_namespace(void) {
  int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  if (fd < 0) die("/proc/self/ns/net");
  return fd;
}

int main(int count, char **words) {
  int endpoints = count > 1 ? atoi(words[1]) : 100;
  struct rlimit files = {endpoints + 64, endpoints + 64};
  setrlimit(RLIMIT_NOFILE, &files);
  if (unshare(CLONE_NEWNET)) die("unshare");
  int home = own_namespace(), host = route_socket();
  add_bridge(host);
  int bridge = if_nametoindex("bridge0");
  int *namespaces = calloc(endpoints, sizeof *namespaces);
  for (int i = 0; i < endpoints; i++) {
    if (unshare(CLONE_NEWNET)) die("unshare");
    namespaces[i] = own_namespace();
    if (setns(home, CLONE_NEWNET)) die("setns");
  }
  for (int i = 0; i < endpoints; i++) {
    double start = microseconds();
    add_veth(host, i, bridge, namespaces[i]);
    if (setns(namespaces[i], CLONE_NEWNET)) die("setns");
    int inside = route_socket(), index = if_nametoindex("eth0");
    if (setns(home, CLONE_NEWNET)) die("setns");
    configure(inside, i, index);
    printf("%s%.1f", i ? ", " : "[", microseconds() - start);
    close(inside);
  }
  puts("]");
  return 0;
}
