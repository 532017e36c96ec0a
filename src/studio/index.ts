export { createStudio } from "./studio.ts";
export type { Redaction, RunTrace, Studio, StudioOptions } from "./options.ts";
