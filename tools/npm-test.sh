#!/bin/sh
# What `npm test` does: sets a fresh clone up as ./netwhy does, but with the development dependencies, then runs
# tools/test.ts with the arguments that were given.
set -eu
home=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
. "$home/tools/set-up.sh"

mkdir -p "$home/.tools"
has_dev_dependencies() {
  [ -e "$home/node_modules/vitest/package.json" ] && find_app && [ "$app" = "$home" ]
}
find_node || node=
if [ -z "$node" ] || ! has_dev_dependencies; then
  need_npm
  tell "fetching what the tests need into $home; this happens once" "正在获取测试所需组件到 $home，仅此一次"
  take_lock "$home/.tools/set-up.lock"
  find_node || bring_node "$home/.tools/node"
  has_dev_dependencies || bring_dependencies "$home"
  free_lock
fi

# what the tests start finds the same Node
PATH=${node%/*}:$PATH
export PATH
exec "$node" --disable-warning=ExperimentalWarning "$home/tools/test.ts" "$@"
