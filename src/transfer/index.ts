export { describeDifference } from "./compare-bundles.ts";
export { compareStores } from "./compare-stores.ts";
export type { CompareOptions, CompareProgress, CompareReport } from "./compare-stores.ts";
export type { RunDifference } from "./compare-bundles.ts";
export { copyStore } from "./copy-store.ts";
export type { CopyOptions, CopyProgress, CopyReport } from "./copy-store.ts";
export { exportFile, importFile } from "./export/export-file.ts";
export { exportStore } from "./export/export-store.ts";
export type { ExportOptions, ExportProgress } from "./export/export-store.ts";
export { importStore } from "./export/import-store.ts";
export type { ImportOptions, ImportProgress, ImportReport } from "./export/import-store.ts";
export type { TextChunks } from "./export/read-export.ts";
export { MirroredStore } from "./mirror/mirrored-store.ts";
export type {
  DivergenceReport,
  MirrorOptions,
  ResyncReport,
  SwitchOverOptions,
  SwitchOverReport,
} from "./mirror/mirror-options.ts";
