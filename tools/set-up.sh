# What netwhy needs to run: Node 24 and its dependencies. Sourced by ./netwhy and tools/npm-test.sh, with $home set to
# the folder of the clone; needs a POSIX shell, and npm where something is missing.
#
# What a clone has already is used as it is: .tools/node (or a Node 24 on PATH) and node_modules. What is missing goes
# into the clone; if that is not writable, into the user's cache: $XDG_CACHE_HOME/netwhy/<key> then holds a copy of the
# sources (Node finds packages from where a file lies) under a key made of their contents. Everything is made in a
# folder of its own and then renamed, so that nobody ever sees half of it.

node_version=24.21.0

case $(uname -sm) in
"Linux x86_64") platform=linux-x64 ;;
"Linux aarch64" | "Linux arm64") platform=linux-arm64 ;;
"Darwin arm64") platform=darwin-arm64 ;;
"Darwin x86_64") platform=darwin-x64 ;;
*) platform= ;;
esac

# tell ENGLISH CHINESE
tell() {
  case ${LC_ALL:-${LC_MESSAGES:-${LANG:-}}} in
  zh* | ZH*) printf 'netwhy: %s\n' "$2" >&2 ;;
  *) printf 'netwhy: %s\n' "$1" >&2 ;;
  esac
}

fail() {
  tell "$1" "$2"
  exit 5
}

# Sets $cache to a folder of the user that can be written.
find_cache() {
  cache=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/netwhy
  if { [ -d "$cache" ] || mkdir -p "$cache" 2>/dev/null; } && [ -w "$cache" ]; then return; fi
  # anybody may write to /tmp: a folder there that somebody else made, or a link, is not ours
  cache=${TMPDIR:-/tmp}/netwhy-$(id -u)
  mkdir -m 700 "$cache" 2>/dev/null || { [ -d "$cache" ] && [ ! -h "$cache" ] && [ -O "$cache" ]; }
}

# Sets $node to a Node that is new enough.
find_node() {
  node=$home/.tools/node/node_modules/node-$platform/bin/node
  if [ -x "$node" ]; then return; fi
  if find_cache; then
    node=$cache/node-$node_version/node_modules/node-$platform/bin/node
    if [ -x "$node" ]; then return; fi
  fi
  node=$(command -v node) || return
  version=$("$node" --version) || return
  version=${version#v}
  [ "${version%%.*}" -ge "${node_version%%.*}" ]
}

# Sets $app to the folder with the sources and their dependencies.
find_app() {
  app=$home
  if [ -e "$home/node_modules/.package-lock.json" ]; then
    # an update of the clone may ask for other dependencies than those that were brought before
    brought_for=$home/node_modules/.brought-for.json
    if [ ! -e "$brought_for" ] || [ ! "$home/package-lock.json" -nt "$brought_for" ] ||
      cmp -s "$home/package-lock.json" "$brought_for"; then return; fi
  fi
  if [ -w "$home" ]; then return 1; fi
  find_cache || return
  app=$cache/$(key_of_sources)
  [ -e "$app/node_modules/.package-lock.json" ]
}

key_of_sources() {
  (cd "$home" && find src scenarios manifests package.json package-lock.json -type f -exec cksum {} + | LC_ALL=C sort | cksum | tr ' ' -)
}

# Takes $lock, a folder; whoever waits for it finds the work done.
take_lock() {
  lock=$1
  waited=0
  until mkdir "$lock" 2>/dev/null; do
    owner=$(cat "$lock/pid" 2>/dev/null) || owner=
    if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null && [ ! -d "/proc/$owner" ]; then
      # its owner was killed
      rm -rf "$lock"
    fi
    waited=$((waited + 1))
    if [ "$waited" -gt 600 ]; then
      fail "waited ten minutes for another netwhy; if there is none, remove $lock" "等待另一个 netwhy 已超过十分钟；如果并没有，请删除 $lock"
    fi
    sleep 1
  done
  printf '%s\n' "$$" >"$lock/pid"
  trap 'rm -rf "$lock"' EXIT
  trap 'exit 130' INT TERM HUP
}

free_lock() {
  trap - EXIT INT TERM HUP
  rm -rf "$lock"
}

# put STAGED DESTINATION: renames; if somebody was faster, theirs is as good
put() {
  [ -e "$2" ] || mv "$1" "$2"
  rm -rf "$1" "$2/${1##*/}"
}

# run_npm ARGUMENT …, in the current folder
run_npm() {
  npm "$@" --no-audit --no-fund --no-progress --no-update-notifier --loglevel=error >/dev/null
}

need_npm() {
  command -v npm >/dev/null || fail "npm is missing: install Node.js with npm, or a Node $node_version and the packages in $home/package-lock.json" \
    "缺少 npm：请安装带 npm 的 Node.js"
}

# bring_node DESTINATION
bring_node() {
  if [ -z "$platform" ]; then
    fail "there is no Node $node_version to fetch for $(uname -sm): install Node ${node_version%%.*} or newer" \
      "没有适用于 $(uname -sm) 的 Node ${node_version}：请自行安装 Node ${node_version%%.*} 或更新版本"
  fi
  staged=$1.new.$$
  mkdir -p "$staged"
  (cd "$staged" && run_npm install --prefix "$staged" --no-save --no-package-lock "node-$platform@$node_version") || {
    rm -rf "$staged"
    fail "Node $node_version could not be fetched (see above)" "无法获取 Node ${node_version}（见上）"
  }
  put "$staged" "$1"
  node=$1/node_modules/node-$platform/bin/node
}

# bring_dependencies FOLDER [--omit=dev]: installs exactly what the lock file in it names
bring_dependencies() {
  staged=$1/.tools/dependencies.new.$$
  mkdir -p "$staged"
  cp "$1/package.json" "$1/package-lock.json" "$1/.npmrc" "$staged"
  (cd "$staged" && run_npm ci ${2:+"$2"}) || {
    rm -rf "$staged"
    fail "the dependencies could not be fetched (see above)" "无法获取依赖（见上）"
  }
  cp "$1/package-lock.json" "$staged/node_modules/.brought-for.json"
  if [ -e "$1/node_modules" ]; then mv "$1/node_modules" "$staged/old"; fi
  mv "$staged/node_modules" "$1/node_modules"
  rm -rf "$staged"
}

# What ./netwhy needs and find_node or find_app did not find.
bring_what_is_missing() {
  # a release brings all that it needs (tools/release.ts)
  if [ -e "$home/.release" ]; then
    fail "$home is not whole: unpack it again" "$home 不完整：请重新解压"
  fi
  need_npm
  if [ -w "$home" ]; then
    place=$home/.tools
    mkdir -p "$place"
  elif find_cache; then
    place=$cache
  else
    fail "neither $home nor a cache folder can be written: set XDG_CACHE_HOME to a folder that can" \
      "$home 和缓存目录都不可写：请将 XDG_CACHE_HOME 设为可写的目录"
  fi
  tell "first use: fetching what netwhy needs into $place; this happens once and takes a minute" \
    "首次使用：正在获取所需组件到 ${place}，仅此一次，约需一分钟"
  take_lock "$place/set-up.lock"
  if ! find_node; then
    if [ -w "$home" ]; then bring_node "$place/node"; else bring_node "$place/node-$node_version"; fi
  fi
  if ! find_app; then
    if [ -w "$home" ]; then
      app=$home
      bring_dependencies "$home" --omit=dev
    else
      app=$cache/$(key_of_sources)
      copy=$app.new.$$
      mkdir -p "$copy"
      (cd "$home" && cp -R src scenarios manifests package.json package-lock.json .npmrc "$copy" && chmod -R u+w "$copy")
      bring_dependencies "$copy" --omit=dev
      put "$copy" "$app"
    fi
  fi
  free_lock
}
