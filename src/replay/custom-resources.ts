/** Resources that CustomResourceDefinitions add to an API, with the columns that they print. */
import type { ResourceType } from "../model/resource-types.ts";
import { objectOf, type StoredObject } from "./store.ts";

/** A column of `kubectl get` (apiextensions.k8s.io/v1, CustomResourceColumnDefinition). */
export type CustomColumn = {
  readonly name: string;
  readonly type: string;
  readonly format?: string;
  readonly description?: string;
  readonly priority?: number;
  readonly jsonPath: string;
};

export type CustomResource = {
  readonly type: ResourceType;
  /** Undefined: name and age. */
  readonly columns: readonly CustomColumn[] | undefined;
  /** OpenAPI v3. */
  readonly schema: object | undefined;
};

type Definition = {
  readonly spec?: {
    readonly group?: string;
    readonly scope?: string;
    readonly names?: {
      readonly plural?: string;
      readonly singular?: string;
      readonly kind?: string;
      readonly shortNames?: readonly string[];
      readonly categories?: readonly string[];
    };
    readonly versions?: readonly {
      readonly name?: string;
      readonly served?: boolean;
      readonly additionalPrinterColumns?: readonly CustomColumn[];
      readonly schema?: { readonly openAPIV3Schema?: object };
    }[];
  };
};

/** The resources of definitions, one for each version that is served. */
export function customResourcesOf(definitions: readonly StoredObject[]): readonly CustomResource[] {
  return definitions.flatMap((definition) => {
    const { group, scope, names, versions } = (objectOf(definition) as Definition).spec ?? {};
    if (group === undefined || names?.plural === undefined || names.kind === undefined) return [];
    const { plural, kind, singular, shortNames, categories } = names;
    return (versions ?? []).flatMap(({ name: version, served, schema, ...more }): CustomResource[] => {
      if (version === undefined || served === false) return [];
      return [
        {
          type: {
            group,
            version,
            plural,
            singular: singular ?? kind.toLowerCase(),
            kind,
            isNamespaced: scope !== "Cluster",
            shortNames: shortNames ?? [],
            categories: categories ?? [],
          },
          columns: more.additionalPrinterColumns,
          schema: schema?.openAPIV3Schema,
        },
      ];
    });
  });
}
