/**
 * In which form a client wants objects: as they are, as a table to print, or their metadata only.
 *
 * Source: apimachinery, pkg/runtime/negotiate.go, and apiserver, pkg/endpoints/handlers/negotiation. Clients name the
 * forms in the order of their liking; a form that the server does not have is passed over.
 */
import { StatusError } from "./status.ts";

export type Form = { readonly as: "object" | "table" | "metadata"; readonly apiVersion: string };

const PLAIN: Form = { as: "object", apiVersion: "" };

type MediaRange = { readonly type: string; readonly parameters: ReadonlyMap<string, string>; readonly weight: number };

function mediaRanges(accept: string): MediaRange[] {
  const ranges = accept.split(",").map((range): MediaRange => {
    const [type = "", ...rest] = range.split(";").map((part) => part.trim());
    const parameters = new Map(
      rest.map((part) => {
        const [key = "", value = ""] = part.split("=");
        return [key.trim().toLowerCase(), value.trim()] as const;
      }),
    );
    return { type: type.toLowerCase(), parameters, weight: Number(parameters.get("q") ?? 1) };
  });
  return ranges.filter(({ type, weight }) => type !== "" && weight > 0).sort((a, b) => b.weight - a.weight);
}

const isJson = (type: string): boolean => ["application/json", "application/*", "*/*"].includes(type);

/** @throws StatusError if nothing that the client takes can be had */
export function formOf(accept: string | undefined): Form {
  if (accept === undefined || accept.trim() === "") return PLAIN;
  for (const { type, parameters } of mediaRanges(accept)) {
    if (!isJson(type)) continue;
    const as = parameters.get("as");
    if (as === undefined) return PLAIN;
    const version = parameters.get("v") ?? "v1";
    if ((parameters.get("g") ?? "meta.k8s.io") !== "meta.k8s.io" || !["v1", "v1beta1"].includes(version)) continue;
    const apiVersion = `meta.k8s.io/${version}`;
    if (as === "Table") return { as: "table", apiVersion };
    if (as === "PartialObjectMetadata" || as === "PartialObjectMetadataList") return { as: "metadata", apiVersion };
  }
  throw new StatusError(
    "NotAcceptable",
    "406: Not Acceptable\n\nAvailable representations: application/json, application/json;stream=watch",
    {},
  );
}

/** The version of aggregated discovery that a client takes, `v2` or `v2beta1`; undefined for the older form. */
export function discoveryVersionOf(accept: string | undefined): "v2" | "v2beta1" | undefined {
  for (const { type, parameters } of mediaRanges(accept ?? "")) {
    if (!isJson(type)) continue;
    const version = parameters.get("v");
    if (parameters.get("as") === undefined) return undefined;
    if (parameters.get("g") !== "apidiscovery.k8s.io" || parameters.get("as") !== "APIGroupDiscoveryList") continue;
    if (version === "v2" || version === "v2beta1") return version;
  }
  return undefined;
}
