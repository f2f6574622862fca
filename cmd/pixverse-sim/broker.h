#ifndef SIM_BROKER_H
#define SIM_BROKER_H

/**
 * `pixverse-sim broker`: librdkafka's mock cluster as an embedded Kafka.
 *
 * @return  The exit status.
 */
int broker_run(int count, char **args);

#endif
