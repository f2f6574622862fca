#ifndef EDGE_WEB_CA_H
#define EDGE_WEB_CA_H

/** The certificates that libcurl trusts where it isn't told others, for who
 * speaks TLS without it. Null: it has no such file or folder. */
const char *web_ca_file(void);
const char *web_ca_folder(void);

#endif
