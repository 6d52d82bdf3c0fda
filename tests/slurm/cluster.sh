#!/usr/bin/env bash
# A real one-node SLURM on loopback, for tests.   cluster.sh start | stop | status
#
# Needs root and Debian's `slurm-wlm` and `munge`. The configuration goes to /etc/slurm, where the SLURM commands
# look for it (SLURM_CONF does not reach a job); a configuration that is not ours is never overwritten.
# Two fake GPUs (/dev/null, /dev/zero), partitions `cpu` and `gpu`, no accounting. `start` twice is harmless; after
# a kill it begins with an empty queue.

set -euo pipefail

readonly mark="# made by tests/slurm/cluster.sh"
readonly etc=/etc/slurm
readonly state=/var/spool/slurm-loopback       # slurmctld's and slurmd's own folders
readonly run=/run/slurm-loopback               # pid files
readonly log=/var/log/slurm-loopback
readonly seconds=60                            # the longest wait for anything
host=$(hostname -s)
readonly host

fail() {
    echo "cluster.sh: $*" >&2
    exit 1
}

wait_for() { # wait_for WHAT COMMAND…: until the command succeeds
    local what=$1 end=$((SECONDS + seconds))
    shift
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < end)) || fail "$what: not within $seconds s (logs in $log)"
        sleep 0.2
    done
}

running() { # running DAEMON PIDFILE: is that process alive, and is it that daemon?
    local pid
    pid=$(cat "$2" 2>/dev/null) && [[ $(readlink "/proc/${pid:-none}/exe") == */"$1"* ]]
}

end() { # end DAEMON PIDFILE: TERM, then KILL
    local pid end=$((SECONDS + 10))
    running "$1" "$2" || return 0
    pid=$(cat "$2")
    kill -TERM "$pid" || true
    while running "$1" "$2"; do
        ((SECONDS < end)) || kill -KILL "$pid" || true
        sleep 0.1
    done
}

ours() { grep -qxF "$mark" $etc/slurm.conf 2>/dev/null; }
munge_works() { munge -n </dev/null | unmunge; }
controller_answers() { scontrol ping | grep -q "is UP"; }
node_state() { sinfo --noheader --nodes "$host" --format %T 2>/dev/null | head -1; }
node_is_idle() { [[ $(node_state) == idle ]]; }
node_serves() { [[ $(node_state) =~ ^(idle|mixed|allocated|completing)$ ]]; }
healthy() {
    running slurmctld $run/slurmctld.pid && running slurmd $run/slurmd.pid && controller_answers && node_serves
}

configure() {
    # At least 4 CPUs are promised, so that a rule with 4 threads is not refused on a machine with 2 cores.
    local cpus memory
    cpus=$(nproc)
    memory=$(awk '/^MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo)
    cat >$etc/slurm.conf <<CONF
$mark
ClusterName=loopback
SlurmctldHost=$host(127.0.0.1)
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
StateSaveLocation=$state/slurmctld
SlurmdSpoolDir=$state/slurmd
SlurmctldPidFile=$run/slurmctld.pid
SlurmdPidFile=$run/slurmd.pid
SlurmctldLogFile=$log/slurmctld.log
SlurmdLogFile=$log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=500
GresTypes=gpu
ReturnToService=2
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
# no accounting: squeue must remember finished jobs long enough to be asked
MinJobAge=300
# quick: jobs start at once, and end at their limit
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
OverTimeLimit=0
KillWait=2
CompleteWait=0
NodeName=$host NodeAddr=127.0.0.1 CPUs=$((cpus < 4 ? 4 : cpus)) RealMemory=$memory Gres=gpu:a100:2 Feature=sm_80 State=UNKNOWN
PartitionName=cpu Nodes=$host Default=YES MaxTime=1440 State=UP
PartitionName=gpu Nodes=$host MaxTime=720 State=UP
CONF
    cat >$etc/gres.conf <<CONF
$mark
NodeName=$host Name=gpu Type=a100 File=/dev/null
NodeName=$host Name=gpu Type=a100 File=/dev/zero
CONF
}

start_munge() {
    munge_works >/dev/null 2>&1 && return
    install -d -o munge -g munge -m 0700 /etc/munge /var/lib/munge /var/log/munge
    install -d -o munge -g munge -m 0755 /run/munge
    if [[ ! -s /etc/munge/munge.key ]]; then
        (umask 077 && dd if=/dev/urandom of=/etc/munge/munge.key bs=128 count=1 status=none)
    fi
    chown munge:munge /etc/munge/munge.key
    chmod 0400 /etc/munge/munge.key
    runuser -u munge -- munged --force
    wait_for munged munge_works
    touch $run/munged.ours
}

start() {
    [[ $EUID == 0 ]] || fail "start needs root"
    local program
    for program in munged slurmctld slurmd sbatch; do
        command -v $program >/dev/null || fail "$program is missing: apt-get install slurm-wlm munge"
    done
    if [[ -e $etc/slurm.conf ]] && ! ours; then
        fail "$etc/slurm.conf is not ours: this machine has a SLURM already"
    fi
    healthy && return
    end slurmd $run/slurmd.pid
    end slurmctld $run/slurmctld.pid
    rm -rf $state
    mkdir -p $etc $state/slurmctld $state/slurmd $run $log
    configure
    start_munge
    # Their own session and no shared pipe: they outlive whoever called, and hold up none that waits for its output.
    setsid slurmctld -c </dev/null >>$log/start.log 2>&1
    wait_for slurmctld controller_answers
    setsid slurmd -N "$host" </dev/null >>$log/start.log 2>&1
    wait_for "the node $host" node_is_idle
}

stop() {
    ours || return 0
    scancel --user="$(id -un)" >/dev/null 2>&1 || true
    end slurmd $run/slurmd.pid
    end slurmctld $run/slurmctld.pid
    [[ ! -e $run/munged.ours ]] || end munged /run/munge/munged.pid
    rm -rf $run $state
}

case ${1:-} in
start)
    start
    sinfo
    ;;
stop) stop ;;
status)
    healthy || fail "not up"
    sinfo
    squeue
    ;;
*) fail "usage: cluster.sh start | stop | status" ;;
esac
