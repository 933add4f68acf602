#!/bin/sh
# A Kafka broker for tests and the demo: one node, KRaft, on 127.0.0.1 only.
#
#   broker.sh fetch            brings the broker by Maven into target/kafka (needs both; once a version)
#   broker.sh run DIR PORT     runs it over DIR on PORT and PORT+1 until it is killed, as this process
#   broker.sh groups PORT ...  Kafka's own kafka-consumer-groups, as a witness
#   broker.sh topics PORT ...  Kafka's own kafka-topics, to change topics as an administrator does
#   broker.sh produce PORT ... Kafka's own kafka-producer-perf-test, which sends at an even rate
set -eu
here=$(cd "$(dirname "$0")" && pwd)
lib=$here/../../target/kafka

fetch() {
  cmp -s "$here/pom.xml" "$lib/complete" && return
  rm -rf "$lib"
  mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$lib" >&2
  cp "$here/pom.xml" "$lib/complete"
}

# Without a file of its own log4j writes nothing but errors.
java_with() {
  memory=$1
  shift
  exec java "-Xmx$memory" "-Xms64m" -XX:+UseSerialGC -cp "$lib/*" "$@"
}

case $1 in
  fetch)
    fetch
    ;;
  run)
    dir=$2 port=$3
    fetch
    mkdir -p "$dir"
    cat >"$dir/server.properties" <<EOF
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$((port + 1))
listeners=BROKER://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1))
advertised.listeners=BROKER://127.0.0.1:$port
listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=BROKER
controller.listener.names=CONTROLLER
log.dirs=$dir/logs
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
EOF
    if [ ! -f "$dir/logs/meta.properties" ]; then
      (java_with 256m kafka.tools.StorageTool format -t AAAAAAAAAAAAAAAAAAAAAQ -c "$dir/server.properties") >"$dir/format.log" 2>&1
    fi
    java_with 768m kafka.Kafka "$dir/server.properties" >"$dir/broker.log" 2>&1
    ;;
  groups)
    port=$2
    shift 2
    fetch
    java_with 256m org.apache.kafka.tools.consumer.group.ConsumerGroupCommand --bootstrap-server "127.0.0.1:$port" "$@"
    ;;
  topics)
    port=$2
    shift 2
    fetch
    java_with 256m org.apache.kafka.tools.TopicCommand --bootstrap-server "127.0.0.1:$port" "$@"
    ;;
  produce)
    port=$2
    shift 2
    fetch
    java_with 256m org.apache.kafka.tools.ProducerPerformance --producer-props "bootstrap.servers=127.0.0.1:$port" linger.ms=0 "$@"
    ;;
  *)
    echo "broker.sh knows fetch, run DIR PORT, groups PORT ..., topics PORT ..., produce PORT ..." >&2
    exit 2
    ;;
esac
