#!/bin/sh
# Builds a small ZooKeeper image from Debian packages, for machines that cannot pull the official one.
#
#   build.sh [IMAGE]        (default: fairlock-zookeeper:local)
#
# The image holds a trimmed Java runtime, Debian's ZooKeeper and busybox. It understands the environment variables of
# the official image that tests use: ZOO_MY_ID, ZOO_SERVERS, ZOO_CFG_EXTRA, ZOO_TICK_TIME, ZOO_INIT_LIMIT,
# ZOO_SYNC_LIMIT, ZOO_MAX_CLIENT_CNXNS, ZOO_STANDALONE_ENABLED, ZOO_ADMINSERVER_ENABLED, ZOO_4LW_COMMANDS_WHITELIST,
# ZOO_AUTOPURGE_*, ZOO_{CONF,DATA,DATA_LOG}_DIR, ZK_SERVER_HEAP, JVMFLAGS and SERVER_JVMFLAGS.
set -eu

image=${1:-fairlock-zookeeper:local}
here=$(cd "$(dirname "$0")" && pwd)
jars=/usr/share/java
export LC_ALL=C

fail() {
    echo "build.sh: $*" >&2
    exit 1
}

command -v docker > /dev/null || fail "the docker command is missing: install it (Debian: docker-cli or docker.io)"

# --- What the image is made of ---

# jlink works only with the .jmod files, which are in the JDK but not in the JRE.
find_jdk() {
    for jlink in "${JAVA_HOME:-/nonexistent}/bin/jlink" "$(command -v jlink || true)" /usr/lib/jvm/*/bin/jlink; do
        [ -x "$jlink" ] || continue
        home=$(dirname "$(dirname "$(readlink -f "$jlink")")")
        if [ -f "$home/jmods/java.base.jmod" ]; then
            echo "$home"
            return
        fi
    done
}

missing=
[ -f "$jars/zookeeper.jar" ] || missing="$missing libzookeeper-java"
[ -f "$jars/slf4j-simple.jar" ] || missing="$missing libslf4j-java"
[ -f "$jars/servlet-api.jar" ] || missing="$missing libservlet-api-java"
command -v busybox > /dev/null || missing="$missing busybox"
command -v unzip > /dev/null || missing="$missing unzip"
[ -n "$(find_jdk)" ] || missing="$missing default-jdk-headless"
if [ -n "$missing" ]; then
    hint="install these packages:$missing"
    command -v apt-get > /dev/null || fail "not a Debian-like system: $hint (names of Debian)"
    if [ "$(id -u)" = 0 ]; then
        sudo=
    elif sudo -n true 2> /dev/null; then
        sudo="sudo -n"
    else
        fail "neither root nor passwordless sudo: $hint"
    fi
    $sudo apt-get update -q || fail "apt-get update failed; $hint"
    # shellcheck disable=SC2086
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing ||
        fail "apt-get install failed; $hint"
fi
jdk=$(find_jdk)

# --- The file tree ---

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root/bin" "$root/zk/lib" "$root/etc" "$root/tmp" "$root/conf" "$root/data" "$root/datalog" "$root/logs"
chmod 1777 "$root/tmp"

"$jdk/bin/jlink" --output "$root/jre" --strip-debug --no-man-pages --no-header-files --compress=0 \
    --add-modules java.base,java.logging,java.management,java.naming,java.security.jgss,java.security.sasl,java.xml,java.sql,jdk.unsupported,jdk.management
# A class data archive makes the server start quicker.
"$root/jre/bin/java" -Xshare:dump > /dev/null

# The manifest names what ZooKeeper needs; its lines are folded at 72 characters.
classpath=$(unzip -p "$jars/zookeeper.jar" META-INF/MANIFEST.MF | tr -d '\r' | sed -e ':a' -e 'N' -e '$!ba' -e 's/\n //g' |
    sed -n 's/^Class-Path: //p')
# slf4j-simple writes the log to stdout; servlet-api is what the admin server needs.
for jar in "$jars/zookeeper.jar" $classpath "$jars/slf4j-simple.jar" "$jars/servlet-api.jar"; do
    # jline belongs to the command line client and is not packaged.
    [ -f "$jar" ] && cp -L "$jar" "$root/zk/lib/"
done

# The shared libraries of everything that runs, and those the C library loads by itself to look up names.
busybox=$(command -v busybox)
cp -L "$busybox" "$root/bin/busybox"
for applet in $("$busybox" --list); do
    [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
done
libraries() {
    { ldd "$root/jre/bin/java" "$busybox" && find "$root/jre" -name '*.so' -exec ldd {} +; } |
        sed -n -e 's/.*=> \(\/[^ ]*\) .*/\1/p' -e 's/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p' | sort -u | grep -v "^$root"
    for name in libnss_files.so.2 libnss_dns.so.2 libresolv.so.2; do
        /sbin/ldconfig -p | sed -n "s/^[[:space:]]*$name .*=> //p" | head -n 1
    done
}
for library in $(libraries | sort -u); do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
done
echo 'hosts: files dns' > "$root/etc/nsswitch.conf"
echo 'root:x:0:0:root:/:/bin/sh' > "$root/etc/passwd"
cp "$here/entrypoint.sh" "$root/entrypoint.sh"
cp "$here/zkServer.sh" "$root/bin/zkServer.sh"
chmod 755 "$root/entrypoint.sh" "$root/bin/zkServer.sh"

# --- The image ---

tar --owner=0 --group=0 -C "$root" -cf - . |
    docker import \
        --change 'ENV PATH=/bin:/jre/bin' \
        --change 'EXPOSE 2181 2888 3888 8080' \
        --change 'VOLUME ["/data", "/datalog", "/logs"]' \
        --change 'ENTRYPOINT ["/entrypoint.sh"]' \
        --change 'CMD ["zkServer.sh", "start-foreground"]' \
        - "$image" > /dev/null
echo "$image"
