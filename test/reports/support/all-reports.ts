import * as entry from "../../../src/reports/index.ts";

/** The reports by name. */
export const reports = { ...entry };
export type ReportName = keyof typeof reports;
export const reportNames = Object.keys(reports) as ReportName[];
