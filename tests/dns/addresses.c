/* Prints the addresses of a name, each on a line, or why there are none; the exit status is that of getaddrinfo. */

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

int main(int count, char **words)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    char text[INET6_ADDRSTRLEN];
    int fault = count == 2 ? getaddrinfo(words[1], NULL, &hints, &found) : EAI_FAIL;

    if (fault) {
        puts(gai_strerror(fault));
        return -fault;
    }
    for (; found; found = found->ai_next) {
        const void *address = found->ai_family == AF_INET
            ? (const void *)&((struct sockaddr_in *)found->ai_addr)->sin_addr
            : (const void *)&((struct sockaddr_in6 *)found->ai_addr)->sin6_addr;
        puts(inet_ntop(found->ai_family, address, text, sizeof text));
    }
    return 0;
}
