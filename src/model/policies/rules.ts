/** Rules on nodes that enforce policies, as they are quoted. */
import type { Evidence } from "../../evidence/origin.ts";

/** Chains of enforcers. */
const OF_POLICY = /\b(cali-|KUBE-NWPLCY|KUBE-POD-FW|CILIUM_|ANTREA|WEAVE-NPC|AZURE-NPM)/;

/** Felix also drops what comes by a tunnel from hosts that it does not know (felix/rules/static.go). */
const OF_TUNNEL = /--comment "Drop [^"]*(VXLAN|IPIP|IPinIP|WireGuard)/i;

/** Whether rules stand for a policy, those included that led to the one that decided: somebody means what it denies. */
export const areOfPolicy = (rules: readonly Evidence[]): boolean =>
  rules.some(({ quote }) => OF_POLICY.test(quote)) && !rules.some(({ quote }) => OF_TUNNEL.test(quote));
