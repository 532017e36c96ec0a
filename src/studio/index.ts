export { createStudio } from "./studio.ts";
export type { Redaction, Studio, StudioOptions } from "./options.ts";
