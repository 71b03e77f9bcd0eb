// Made by tools/generate.ts from the folders: never edited.
import { componentAccessDenied } from "./control-plane/component-access-denied.ts";
import { componentCrashLoop } from "./control-plane/component-crash-loop.ts";
import { componentMissing } from "./control-plane/component-missing.ts";
import { controllerLeaseExpired } from "./control-plane/controller-lease-expired.ts";
import { etcdRolledBack } from "./control-plane/etcd-rolled-back.ts";
import { clusterDnsAddressMismatch } from "./dns/cluster-dns-address-mismatch.ts";
import { clusterDnsDown } from "./dns/cluster-dns-down.ts";
import { corefileInvalid } from "./dns/corefile-invalid.ts";
import { dnsForwardLoop } from "./dns/dns-forward-loop.ts";
import { dnsUpstreamDead } from "./dns/dns-upstream-dead.ts";
import { conntrackTableFull } from "./node/conntrack-table-full.ts";
import { ipForwardingOff } from "./node/ip-forwarding-off.ts";
import { nodeNotReady } from "./node/node-not-ready.ts";
import { nodeUnreachable } from "./node/node-unreachable.ts";
import { outsideUnreachable } from "./node/outside-unreachable.ts";
import { packetFilterDrop } from "./node/packet-filter-drop.ts";
import { cniConfigMissing } from "./pod-network/cni-config-missing.ts";
import { podNetworkEntryMismatch } from "./pod-network/pod-network-entry-mismatch.ts";
import { podRangeConflict } from "./pod-network/pod-range-conflict.ts";
import { underlayMtuTooSmall } from "./pod-network/underlay-mtu-too-small.ts";
import { underlayPacketLoss } from "./pod-network/underlay-packet-loss.ts";
import { networkPolicyDefective } from "./policy/network-policy-defective.ts";
import { networkPolicyUnenforced } from "./policy/network-policy-unenforced.ts";
import type { RegisteredCheck } from "./run.ts";
import { serviceRulesMismatch } from "./service/service-rules-mismatch.ts";
import { serviceWithoutEndpoints } from "./service/service-without-endpoints.ts";
import { targetPortMismatch } from "./service/target-port-mismatch.ts";

export const CHECKS: readonly RegisteredCheck[] = [
  { layer: "control-plane", check: componentAccessDenied },
  { layer: "control-plane", check: componentCrashLoop },
  { layer: "control-plane", check: componentMissing },
  { layer: "control-plane", check: controllerLeaseExpired },
  { layer: "control-plane", check: etcdRolledBack },
  { layer: "node", check: conntrackTableFull },
  { layer: "node", check: ipForwardingOff },
  { layer: "node", check: nodeNotReady },
  { layer: "node", check: nodeUnreachable },
  { layer: "node", check: outsideUnreachable },
  { layer: "node", check: packetFilterDrop },
  { layer: "pod-network", check: cniConfigMissing },
  { layer: "pod-network", check: podNetworkEntryMismatch },
  { layer: "pod-network", check: podRangeConflict },
  { layer: "pod-network", check: underlayMtuTooSmall },
  { layer: "pod-network", check: underlayPacketLoss },
  { layer: "service", check: serviceRulesMismatch },
  { layer: "service", check: serviceWithoutEndpoints },
  { layer: "service", check: targetPortMismatch },
  { layer: "dns", check: clusterDnsAddressMismatch },
  { layer: "dns", check: clusterDnsDown },
  { layer: "dns", check: corefileInvalid },
  { layer: "dns", check: dnsForwardLoop },
  { layer: "dns", check: dnsUpstreamDead },
  { layer: "policy", check: networkPolicyDefective },
  { layer: "policy", check: networkPolicyUnenforced },
];
