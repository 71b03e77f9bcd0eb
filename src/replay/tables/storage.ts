/** Volumes and what provides them. */
import { age, listed, type Maybe, type Metadata, type Printer, printer, UNSET } from "./printer.ts";

const MODES = [
  ["ReadWriteOnce", "RWO"],
  ["ReadOnlyMany", "ROX"],
  ["ReadWriteMany", "RWX"],
  ["ReadWriteOncePod", "RWOP"],
] as const;

const modesText = (modes: Maybe<readonly string[]>): string =>
  MODES.flatMap(([mode, short]) => (modes?.includes(mode) ? short : [])).join(",");

type Capacity = Maybe<{ readonly storage?: string }>;
type Volume = {
  readonly metadata: Metadata;
  readonly spec?: {
    readonly capacity?: Capacity;
    readonly accessModes?: Maybe<readonly string[]>;
    readonly persistentVolumeReclaimPolicy?: string;
    readonly claimRef?: Maybe<{ readonly namespace?: string; readonly name?: string }>;
    readonly storageClassName?: Maybe<string>;
    readonly volumeAttributesClassName?: Maybe<string>;
    readonly volumeMode?: Maybe<string>;
    readonly volumeName?: Maybe<string>;
  };
  readonly status?: Maybe<{
    readonly phase?: string;
    readonly reason?: string;
    readonly capacity?: Capacity;
    readonly accessModes?: Maybe<readonly string[]>;
  }>;
};

const classOf = ({ metadata, spec }: Volume): string =>
  metadata.annotations?.["volume.beta.kubernetes.io/storage-class"] ?? spec?.storageClassName ?? "";

const phaseOf = ({ metadata, status }: Volume): string =>
  metadata.deletionTimestamp ? "Terminating" : (status?.phase ?? "");

const IS_DEFAULT = ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];

export const storagePrinters: Readonly<Record<string, Printer>> = {
  "/persistentvolumes": printer<Volume>(
    "Name, Capacity, Access Modes, Reclaim Policy, Status, Claim, StorageClass, VolumeAttributesClass, Reason, Age, VolumeMode^",
    (volume, now) => {
      const { metadata, spec, status } = volume;
      const claim = spec?.claimRef;
      return [
        metadata.name,
        spec?.capacity?.storage ?? "0",
        modesText(spec?.accessModes),
        spec?.persistentVolumeReclaimPolicy ?? "",
        phaseOf(volume),
        claim ? `${claim.namespace ?? ""}/${claim.name ?? ""}` : "",
        classOf(volume),
        spec?.volumeAttributesClassName ?? UNSET,
        status?.reason ?? "",
        age(metadata, now),
        spec?.volumeMode ?? UNSET,
      ];
    },
  ),
  "/persistentvolumeclaims": printer<Volume>(
    "Name, Status, Volume, Capacity, Access Modes, StorageClass, VolumeAttributesClass, Age, VolumeMode^",
    (claim, now) => {
      const { metadata, spec, status } = claim;
      const isBound = Boolean(spec?.volumeName);
      return [
        metadata.name,
        phaseOf(claim),
        spec?.volumeName ?? "",
        isBound ? (status?.capacity?.storage ?? "0") : "",
        isBound ? modesText(status?.accessModes) : "",
        classOf(claim),
        spec?.volumeAttributesClassName ?? UNSET,
        age(metadata, now),
        spec?.volumeMode ?? UNSET,
      ];
    },
  ),
  "storage.k8s.io/storageclasses": printer<{
    metadata: Metadata;
    provisioner?: string;
    reclaimPolicy?: Maybe<string>;
    volumeBindingMode?: Maybe<string>;
    allowVolumeExpansion?: Maybe<boolean>;
  }>("Name, Provisioner, ReclaimPolicy, VolumeBindingMode, AllowVolumeExpansion, Age", (object, now) => {
    const { metadata } = object;
    const isDefault = IS_DEFAULT.some((key) => metadata.annotations?.[key] === "true");
    return [
      isDefault ? `${metadata.name} (default)` : metadata.name,
      object.provisioner ?? "",
      object.reclaimPolicy ?? "Delete",
      object.volumeBindingMode ?? "Immediate",
      object.allowVolumeExpansion ?? false,
      age(metadata, now),
    ];
  }),
  "storage.k8s.io/csinodes": printer<{ metadata: Metadata; spec?: { drivers?: Maybe<readonly unknown[]> } }>(
    "Name, Drivers#, Age",
    ({ metadata, spec }, now) => [metadata.name, spec?.drivers?.length ?? 0, age(metadata, now)],
  ),
  "storage.k8s.io/csidrivers": printer<{
    metadata: Metadata;
    spec?: {
      attachRequired?: Maybe<boolean>;
      podInfoOnMount?: Maybe<boolean>;
      storageCapacity?: Maybe<boolean>;
      requiresRepublish?: Maybe<boolean>;
      tokenRequests?: Maybe<readonly { audience?: string }[]>;
      volumeLifecycleModes?: Maybe<readonly string[]>;
    };
  }>(
    "Name, AttachRequired?, PodInfoOnMount?, StorageCapacity?, TokenRequests, RequiresRepublish?, Modes, Age",
    ({ metadata, spec }, now) => [
      metadata.name,
      spec?.attachRequired ?? true,
      spec?.podInfoOnMount ?? false,
      spec?.storageCapacity ?? false,
      listed(
        (spec?.tokenRequests ?? []).map(({ audience }) => audience ?? ""),
        UNSET,
      ),
      spec?.requiresRepublish ?? false,
      listed(spec?.volumeLifecycleModes ?? []),
      age(metadata, now),
    ],
  ),
  "storage.k8s.io/volumeattachments": printer<{
    metadata: Metadata;
    spec?: { attacher?: string; nodeName?: string; source?: { persistentVolumeName?: Maybe<string> } };
    status?: Maybe<{ attached?: boolean }>;
  }>("Name, Attacher, PV, Node, Attached?, Age", ({ metadata, spec, status }, now) => [
    metadata.name,
    spec?.attacher ?? "",
    spec?.source?.persistentVolumeName ?? "",
    spec?.nodeName ?? "",
    status?.attached ?? false,
    age(metadata, now),
  ]),
};
