export { compareStores, describeDifference } from "./compare-stores.ts";
export type { CompareOptions, CompareProgress, CompareReport } from "./compare-stores.ts";
export type { RunDifference } from "./compare-bundles.ts";
export { copyStore } from "./copy-store.ts";
export type { CopyOptions, CopyProgress, CopyReport } from "./copy-store.ts";
export { exportFile, importFile } from "./export-file.ts";
export { exportStore } from "./export-store.ts";
export type { ExportOptions, ExportProgress } from "./export-store.ts";
export { importStore } from "./import-store.ts";
export type { ImportOptions, ImportProgress, ImportReport } from "./import-store.ts";
export type { TextChunks } from "./lines.ts";
export { MirroredStore } from "./mirrored-store.ts";
export type {
  DivergenceReport,
  MirrorOptions,
  ResyncReport,
  SwitchOverOptions,
  SwitchOverReport,
} from "./mirror-options.ts";
