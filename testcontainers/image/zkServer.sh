#!/bin/sh
# Runs the server in the foreground; knows no other command.
if [ "$1" != start-foreground ]; then
    echo "usage: zkServer.sh start-foreground" >&2
    exit 2
fi
# Flags are words here, so they are split on purpose.
# shellcheck disable=SC2086
exec /jre/bin/java -Xmx"${ZK_SERVER_HEAP:-256}m" -cp '/zk/lib/*' \
    -Dorg.slf4j.simpleLogger.logFile=System.out \
    -Dorg.slf4j.simpleLogger.showDateTime=true \
    -Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS \
    ${JVMFLAGS:-} ${SERVER_JVMFLAGS:-} \
    org.apache.zookeeper.server.quorum.QuorumPeerMain "${ZOO_CONF_DIR:-/conf}/zoo.cfg"
