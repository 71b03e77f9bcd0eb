/**
 * The world as the walk may see it: tables that were read only in part are not known to it. What is missing from a cut-off
 * list of devices, neighbours or FDB entries may be just what a packet meets, and every stage would have to ask.
 *
 * Rules, routes and sockets are not hidden: their own stages tell what of them is certain.
 */
import { isWhole, type Observed, unknown } from "../../evidence/observed.ts";
import type { Forwarding, NodePlane } from "../../model/forwarding/plane.ts";
import type { PodNamespace, PodNamespaces } from "../../model/pod-namespaces.ts";
import { WORLD, type World } from "./moving.ts";

const OF_NODES = ["links", "localAddresses", "neighbours", "fdb", "bridgePorts", "wireguard", "ipvs"] as const;
const OF_PODS = ["links", "routes", "routes6"] as const;

/** The same, with what is there only in part hidden; itself if all is whole. */
function whole<T extends object>(value: T, keys: readonly (keyof T & string)[]): T {
  const hidden = keys.filter((key) => {
    const observed = value[key] as Observed<unknown>;
    return observed.state === "present" && !isWhole(observed);
  });
  if (hidden.length === 0) return value;
  const properties = hidden.map((key) => {
    const { origin } = value[key] as Observed<unknown>;
    return [key, { value: unknown({ reason: "cut-off" }, origin), enumerable: true }] as const;
  });
  return Object.create(value, Object.fromEntries(properties)) as T;
}

function memoized<K extends object | string, V>(make: (key: K) => V): (key: K) => V {
  const made = new Map<K, V>();
  return (key) => {
    let found = made.get(key);
    if (found === undefined) {
      found = make(key);
      made.set(key, found);
    }
    return found;
  };
}

const forwardings = new WeakMap<Forwarding, Forwarding>();
const namespaces = new WeakMap<PodNamespaces, PodNamespaces>();
const worlds = new WeakMap<World, World>();

function forwardingOf(forwarding: Forwarding): Forwarding {
  const known = forwardings.get(forwarding);
  if (known) return known;
  const made = { of: memoized((node: string): NodePlane => whole(forwarding.of(node), OF_NODES)) };
  forwardings.set(forwarding, made);
  return made;
}

function namespacesOf(all: PodNamespaces): PodNamespaces {
  const known = namespaces.get(all);
  if (known) return known;
  const made: PodNamespaces = { of: memoized((pod): PodNamespace => whole(all.of(pod), OF_PODS)) };
  namespaces.set(all, made);
  return made;
}

/** The same parts, made when they are first asked for, and then kept: a walk asks for them all the time. */
function asItIs(world: World): World {
  const parts: Partial<World> = {};
  const keep = <K extends keyof World>(part: K, make: () => World[K]): void => {
    const get = () => {
      const value = make();
      Object.defineProperty(parts, part, { value, enumerable: true });
      return value;
    };
    Object.defineProperty(parts, part, { get, enumerable: true, configurable: true });
  };
  for (const part of WORLD) keep(part, () => world[part]);
  keep("forwarding", () => forwardingOf(world.forwarding));
  keep("podNamespaces", () => namespacesOf(world.podNamespaces));
  return parts as World;
}

export function asSeen(world: World): World {
  const known = worlds.get(world);
  if (known) return known;
  const made = asItIs(world);
  worlds.set(world, made);
  return made;
}
