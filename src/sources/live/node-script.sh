# What netwhy reads on a node. It writes nothing, changes nothing and needs no more than a POSIX shell: what the node (or
# the container) does not have is told as missing. Run it as root:
#
#   sh node-script.sh > w1.netwhy           by hand, or: ssh w1 sudo sh < node-script.sh > w1.netwhy
#   sh node-script.sh MODE MARK             by netwhy. MODE: host (this is the node), agent (a container that shares the
#                                           node's network), debug (one that shares its processes too, with the node's
#                                           files under /host); MARK: a word that stands in nobody's output
#
# What comes out: `MARK + path` before each file and `MARK - exit-status message` behind it, `MARK ! path message` for one
# that could not be had. Everything is read before anything is run: the shell may be reading from the same pipe.

main() {
  mode=${1:-host}
  mark=${2:-@@netwhy-node@@}
  root=
  if [ "$mode" = debug ]; then root=/host; fi
  PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin
  export PATH LC_ALL=C
  exec </dev/null 2>/dev/null

  printf '%s node %s\n' "$mark" "$(name_of_node)"
  take_network
  take_kernel
  take_files
  take_proxy
  if [ "$mode" != agent ]; then take_processes; fi
  take_pods
  printf '%s end\n' "$mark"
}

has() { command -v "$1" >/dev/null; }

# A tool of ours, or of the node's own files.
find_tool() {
  if has "$1"; then
    tool=
  elif [ -n "$root" ] && inside=$(into_root) && $inside sh -c "command -v $1" >/dev/null; then
    tool=$inside
  else
    return 1
  fi
}

# What runs a command in the node's own files: images of agents often have nsenter and no chroot.
into_root() {
  if has chroot; then printf 'chroot %s' "$root"; elif has nsenter; then printf 'nsenter --root=%s' "$root"; else return 1; fi
}

name_of_node() {
  if has hostname; then hostname; elif has uname; then uname -n; else read_file /proc/sys/kernel/hostname; fi
}

# A file, with whatever can. The shell itself reads byte by byte, and a file under /proc/sys gives its first byte only.
read_file() {
  if has cat; then
    cat "$1"
  elif has sed; then
    sed -n p "$1"
  elif has awk; then
    awk 1 "$1"
  else
    case $1 in /proc/sys/*) return 1 ;; esac
    while IFS= read -r line || [ -n "$line" ]; do printf '%s\n' "$line"; done <"$1"
  fi
}

limit() { if has timeout; then timeout 15 "$@"; else "$@"; fi; }

# take PATH COMMAND…: the command's output as a file; its complaints stand behind it.
take() {
  path=$1
  shift
  case $1 in
  read_file | counts | sysctls | cni_ipam | first_lines | last_lines | nothing) ;;
  *)
    find_tool "$1" || {
      missing "$path" "$1: not found"
      return
    }
    # shellcheck disable=SC2086
    set -- limit $tool "$@"
    ;;
  esac
  printf '%s + %s\n' "$mark" "$path"
  { complaint=$({ "$@" >&3; } 2>&1) && status=0 || status=$?; } 3>&1
  printf '\n%s - %s %s\n' "$mark" "$status" "$(one_line "$complaint")"
}

missing() { printf '%s ! %s %s\n' "$mark" "$1" "$2"; }

one_line() {
  set -f
  # shellcheck disable=SC2086
  set -- $1
  set +f
  line="$*"
  printf '%.300s' "$line"
}

# Of a tool that find_tool has found, the first or the last lines.
first_lines() {
  lines=$1
  shift
  # shellcheck disable=SC2086
  if has head; then limit $tool "$@" | head -n "$lines"; else limit $tool "$@"; fi
}

last_lines() {
  lines=$1
  shift
  # shellcheck disable=SC2086
  if has tail; then limit $tool "$@" | tail -n "$lines"; else limit $tool "$@"; fi
}

nothing() { :; }

take_network() {
  take ip-addr.json ip -j -d addr
  take ip-route.json ip -j -d route show table all
  take ip-rule.json ip -j rule
  take ip-6-rule.json ip -j -6 rule
  take ip-neigh.json ip -j neigh
  take bridge-fdb.json bridge -j fdb
  take bridge-link.json bridge -j -d link
  take_iptables iptables /proc/net/ip_tables_names
  take_iptables ip6tables /proc/net/ip6_tables_names
  take nft-ruleset.json nft -j list ruleset
  take ipset.txt ipset save
  # ipvsadm and wg would load their modules
  if [ -e /proc/net/ip_vs ]; then take ipvsadm.txt ipvsadm -Ln; else missing ipvsadm.txt "the kernel has no IPVS loaded"; fi
  if [ -d /sys/module/wireguard ]; then take wg.txt wg show all; else missing wg.txt "the kernel has no WireGuard loaded"; fi
  take conntrack-stats.txt conntrack -S
  if find_tool conntrack; then take conntrack.txt first_lines 5000 conntrack -L; else missing conntrack.txt "conntrack: not found"; fi
  take ss.txt ss -lntupSH
  take ss-summary.txt ss -s
  take nstat.txt nstat -asz
  take ip-link-stats.json ip -j -s link
  take_offloads
}

# What devices do in the kernel's place: a tunnel whose checksums its device gets wrong loses what is larger than a ping. Of
# the ends of Pods' links there are too many, and they do nothing.
take_offloads() {
  if ! find_tool ethtool; then
    missing ethtool "ethtool: not found"
    return
  fi
  count=0
  for device in /sys/class/net/*; do
    device=${device##*/}
    case $device in lo | veth* | cali* | lxc* | tap* | '*') continue ;; esac
    take "ethtool/$device.txt" ethtool -k "$device"
    count=$((count + 1))
    if [ "$count" -ge 16 ]; then return; fi
  done
}

# take_iptables NAME NAMES: the tables as the node's own command shows them, and those of the other back end. The legacy
# one is asked only where it has tables: asking makes some.
take_iptables() {
  take "$1-save.txt" "$1-save" -c
  if ! find_tool "$1-save"; then return; fi
  # shellcheck disable=SC2086
  case $(limit $tool "$1-save" --version) in
  *legacy*) take "$1-legacy-save.txt" "$1-nft-save" -c ;;
  *)
    names=
    if [ -r "$2" ]; then names=$(read_file "$2"); fi
    if [ -n "$names" ]; then take "$1-legacy-save.txt" "$1-legacy-save" -c; else take "$1-legacy-save.txt" nothing; fi
    ;;
  esac
}

take_kernel() {
  take conntrack-count.txt counts
  if has sysctl; then take sysctl.txt sysctl -a; else take sysctl.txt sysctls; fi
  if find_tool dmesg; then take dmesg.txt last_lines 300 dmesg; else missing dmesg.txt "dmesg: not found"; fi
  take uname.txt uname -a
  if [ -r /proc/modules ]; then take modules.txt read_file /proc/modules; else missing modules.txt "the kernel shows no modules"; fi
  enforcing=/sys/fs/selinux/enforce
  if [ -r "$enforcing" ]; then take selinux.txt read_file "$enforcing"; else missing selinux.txt "the kernel has no SELinux"; fi
  take uptime.txt read_file /proc/uptime
}

counts() {
  read_file /proc/sys/net/netfilter/nf_conntrack_count && read_file /proc/sys/net/netfilter/nf_conntrack_max
}

# Without sysctl: what decides about packets.
sysctls() {
  for file in /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/*/forwarding /proc/sys/net/ipv4/conf/*/rp_filter \
    /proc/sys/net/ipv4/conf/*/route_localnet /proc/sys/net/ipv6/conf/*/forwarding /proc/sys/net/ipv6/conf/*/disable_ipv6 \
    /proc/sys/net/bridge/* /proc/sys/net/netfilter/nf_conntrack_* /proc/sys/net/ipv4/ip_local_port_range \
    /proc/sys/net/ipv4/vs/conntrack /proc/sys/net/ipv4/conf/*/arp_ignore /proc/sys/net/ipv4/conf/*/arp_announce; do
    if [ -r "$file" ] && value=$(read_file "$file"); then
      name=${file#/proc/sys/}
      dotted=
      while :; do
        # a dot in a device's name is written as a slash, as sysctl does
        part=${name%%/*}
        while :; do case $part in *.*) part=${part%%.*}/${part#*.} ;; *) break ;; esac; done
        dotted=$dotted${dotted:+.}$part
        case $name in */*) name=${name#*/} ;; *) break ;; esac
      done
      printf '%s = %s\n' "$dotted" "$value"
    fi
  done
}

# on_node PATH: where the node's file or folder is for us: in $found. In a container only what is mounted is the node's.
on_node() {
  found=
  if [ "$mode" = host ]; then
    found=$1
  elif [ "$mode" = debug ]; then
    found=$root$1
  elif [ -e "/host$1" ]; then
    found=/host$1
  elif is_mounted "$1"; then
    found=$1
  else
    return 1
  fi
}

is_mounted() {
  while read -r _ _ _ _ point _; do
    case $point in
    / | /proc* | /sys* | /dev*) ;;
    *) case $1 in "$point" | "$point"/*) return 0 ;; esac ;;
    esac
  done </proc/self/mountinfo
  return 1
}

# What kube-proxy counts, and whether it is well: usually told on the node's loopback alone.
take_proxy() {
  take_answer metrics/kube-proxy.prom 10249 /metrics
  take_answer metrics/kube-proxy.json 10256 /healthz
}

# take_answer FILE PORT PATH: what is answered on the node's loopback, an error's page too, by what there is.
take_answer() {
  if find_tool curl; then
    take "$1" curl -sS -m 10 "http://127.0.0.1:$2$3"
  elif find_tool wget; then
    take "$1" wget -q -T 10 -O - "http://127.0.0.1:$2$3"
  elif has bash; then
    # shellcheck disable=SC2016
    take "$1" bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$0" && printf "GET %s HTTP/1.0\r\n\r\n" "$1" >&3 &&
      while IFS= read -r line <&3 && [ "$line" != $'"'\\r'"' ]; do :; done && cat <&3' "$2" "$3"
  else
    missing "$1" "curl, wget: not found"
  fi
}

take_node_file() {
  if on_node "$1"; then
    if [ -r "$found" ]; then take "files$1" read_file "$found"; else missing "files$1" "No such file or directory"; fi
  elif [ $# = 1 ]; then
    missing "files$1" "not visible from here"
  fi
}

take_files() {
  take_node_file /run/flannel/subnet.env
  take_node_file /var/lib/kubelet/config.yaml
  take_node_file /var/lib/kubelet/kubeadm-flags.env
  take_node_file /etc/os-release
  if on_node /etc/cni/net.d; then
    for file in "$found"/*.conf "$found"/*.conflist "$found"/*.json; do
      # a kubeconfig beside them holds a token
      if [ -r "$file" ]; then take "files/etc/cni/net.d/${file##*/}" read_file "$file"; fi
    done
  fi
  case $mode in
  host | debug)
    if on_node /etc/resolv.conf && [ -r "$found" ]; then take resolv.conf read_file "$found"; fi
    if on_node /etc/kubernetes/manifests; then
      for file in "$found"/*.yaml; do
        if [ -r "$file" ]; then take "files/etc/kubernetes/manifests/${file##*/}" read_file "$file"; fi
      done
    fi
    if on_node /var/lib/cni/networks && [ -d "$found" ]; then take cni-ipam.txt cni_ipam; fi
    ;;
  esac
}

cni_ipam() {
  for file in "$found"/*/*; do
    case $file in
    */lock | */last_reserved*) ;;
    *) if IFS= read -r owner <"$file" || [ -n "$owner" ]; then
      network=${file%/*}
      printf '%s/%s %s\n' "${network##*/}" "${file##*/}" "${owner%?}"
    fi ;;
    esac
  done
}

take_processes() {
  take processes.txt ps -eo pid,ppid,user,lstart,args
  take services.txt systemctl list-units --type=service --all --plain --no-legend --no-pager
  if on_node /var/log/kubelet.log && [ -r "$found" ] && has tail; then
    take kubelet.log tail -n 1500 "$found"
  else
    take kubelet.log journalctl -u kubelet -n 1500 --no-pager
  fi
}

# Each network namespace that is not the node's, by a process in it or by its name in /run/netns. To whom it belongs is
# told by its addresses, and by the Pod's UID where the process's cgroup has it.
take_pods() {
  if ! find_tool nsenter; then
    missing pods "nsenter: not found"
    return
  fi
  enter=$tool
  if ! has readlink; then
    missing pods "readlink: not found"
    return
  fi
  own=$(readlink /proc/self/ns/net)
  seen=" $own "
  count=0
  if [ "$mode" != agent ]; then
    for process in /proc/[0-9]*; do
      net=$(readlink "$process/ns/net") || continue
      case $seen in *" $net "*) continue ;; esac
      seen="$seen$net "
      take_namespace "-t ${process#/proc/}" "$process"
      count=$((count + 1))
      if [ "$count" -ge 300 ]; then return; fi
    done
  fi
  for name in "$root"/run/netns/* /host/run/netns/* /host/var/run/netns/* /var/run/cilium/netns/*; do
    if [ ! -e "$name" ] || ! has stat; then continue; fi
    net="net:[$(stat -L -c %i "$name")]"
    case $seen in *" $net "*) continue ;; esac
    seen="$seen$net "
    # a tool that runs in the node's files sees the node's names
    if [ -n "$enter" ]; then name=${name#"$root"}; fi
    take_namespace "--net=$name" ""
    count=$((count + 1))
    if [ "$count" -ge 300 ]; then return; fi
  done
}

# take_namespace HOW PROCESS
take_namespace() {
  netns=${net#net:?}
  netns=${netns%?}
  printf '%s netns %s %s\n' "$mark" "$netns" "$(uid_of_pod "$2")"
  in_namespace "$1" ip-addr.json ip -j -d addr
  in_namespace "$1" ip-route.json ip -j route
  in_namespace "$1" ip-6-route.json ip -j -6 route
  in_namespace "$1" ss.txt ss -lntupSH
  if [ -n "$2" ] && [ -r "$2/root/etc/resolv.conf" ]; then
    take "netns/$netns/resolv.conf" read_file "$2/root/etc/resolv.conf"
  fi
}

in_namespace() {
  how=$1
  file=$2
  shift 2
  # only its network: the tools are still ours
  # shellcheck disable=SC2086
  case $how in
  --net=*) take "netns/$netns/$file" nsenter $how "$@" ;;
  *) take "netns/$netns/$file" nsenter $how -n "$@" ;;
  esac
}

uid_of_pod() {
  if [ -z "$1" ]; then return; fi
  while IFS= read -r line; do
    case $line in
    *pod????????[-_]????[-_]????[-_]????[-_]????????????*)
      rest=${line##*pod}
      printf '%.36s' "$rest"
      return
      ;;
    esac
  done <"$1/cgroup"
}

main "$@"
exit 0
