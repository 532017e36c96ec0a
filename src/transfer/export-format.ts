import { createHash } from "node:crypto";
import * as z from "zod";
import { ExportTooNewError, InvalidArgumentError, InvalidExportError } from "../errors.ts";
import { compiledMigrations } from "../migrations/compiled.ts";
import { parseBundle, type RunBundle } from "../model/bundles.ts";
import { bundleParts, type BundleRow } from "./bundle-parts.ts";

/**
 * The lines of an export: a header, a bundle a line, oldest first, and a trailer.
 *
 * Raised when an older reader could not make sense of the lines. A new table or column is none of these: the
 * header lists what there is, so that a reader refuses what it does not know; a bundle may lack what was not there
 * yet.
 */
const formatVersion = 1;
const formatName = "gorkflow-export";

/** What the columns of an export belong to: the last migration that made them. */
const schemaVersion = compiledMigrations.at(-1)?.tag ?? "";

const headerSchema = z.object({
  format: z.literal(formatName),
  version: z.int().min(1),
  schemaVersion: z.string(),
  exportedAt: z.iso.datetime(),
  columns: z.record(z.string(), z.array(z.string())),
});
type ExportHeader = z.output<typeof headerSchema>;

const corruptSchema = z.strictObject({
  table: z.string(),
  key: z.record(z.string(), z.string()),
  column: z.string(),
});
const trailerSchema = z.strictObject({
  format: z.literal(`${formatName}-end`),
  runs: z.int().min(0),
  /** Runs that could not be read when the export was written. */
  corrupt: z.array(corruptSchema),
  /** Of all lines before this one, each with its line feed. */
  sha256: z.hash("sha256"),
});
export type ExportTrailer = z.output<typeof trailerSchema>;

/** The checksum of the lines so far. */
export class LineChecksum {
  readonly #hash = createHash("sha256");

  add(line: string): void {
    this.#hash.update(line).update("\n");
  }

  digest(): string {
    return this.#hash.copy().digest("hex");
  }
}

export function encodeHeader(exportedAt: Date): string {
  return JSON.stringify({
    format: formatName,
    version: formatVersion,
    schemaVersion,
    exportedAt: exportedAt.toISOString(),
    columns: Object.fromEntries(bundleParts.map(({ name, properties }) => [name, [...properties]])),
  } satisfies ExportHeader);
}

/** Times are ISO 8601; everything else is JSON as it is. */
export function encodeBundle(bundle: RunBundle): string {
  return JSON.stringify(bundle);
}

export function encodeTrailer(trailer: Omit<ExportTrailer, "format">): string {
  return JSON.stringify({ format: `${formatName}-end`, ...trailer } satisfies ExportTrailer);
}

/** Passes when the line is the header of an export that this version can read. @throws {InvalidExportError} {ExportTooNewError} */
export function checkHeader(text: string): void {
  const header = headerSchema.safeParse(parseLine(text, 1));
  if (!header.success) {
    throw new InvalidExportError({ line: 1, reason: "is not the header of an export" });
  }
  const { version, columns } = header.data;
  if (version > formatVersion) {
    throw new ExportTooNewError({
      reason: `its format is ${version}, and the newest known here is ${formatVersion}`,
    });
  }
  for (const [name, properties] of Object.entries(columns)) {
    const known = bundleParts.find((part) => part.name === name)?.properties;
    const unknown = properties.find((property) => known?.includes(property) !== true);
    if (unknown !== undefined) {
      throw new ExportTooNewError({
        reason: `its schema is ${header.data.schemaVersion}, which has ${name}.${unknown}; the one here is ${schemaVersion}`,
      });
    }
  }
}

/**
 * The bundle of a line, or the trailer.
 *
 * @throws {InvalidExportError} that names the line and the field, never its value.
 */
export function decodeRecord(text: string, line: number): RunBundle | ExportTrailer {
  const record = parseLine(text, line);
  if (isTrailer(record)) {
    const trailer = trailerSchema.safeParse(record);
    if (trailer.success) return trailer.data;
    throw new InvalidExportError({ line, reason: "is a trailer that cannot be read" });
  }
  const bundle = Object.fromEntries(
    Object.entries(record).map(([name, rows]) => {
      const times = bundleParts.find((part) => part.name === name)?.times ?? [];
      return [
        name,
        Array.isArray(rows) ? rows.map((row) => withTimes(row, times)) : withTimes(rows, times),
      ];
    }),
  );
  try {
    return parseBundle(bundle, "bundle");
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    throw new InvalidExportError({ line, reason: error.message.replace(/^bundle\.?/, "") });
  }
}

/** True for the last line of an export. */
export function isTrailer(record: object): record is ExportTrailer {
  return "format" in record;
}

function parseLine(text: string, line: number): object {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's own message quotes the text.
    throw new InvalidExportError({ line, reason: "is not JSON" });
  }
  if (typeof value === "object" && value !== null) return value;
  throw new InvalidExportError({ line, reason: "is not a JSON object" });
}

/** The row with its times as `Date`. What is no row, or no time, is left for the schema to refuse. */
function withTimes(row: unknown, times: readonly string[]): unknown {
  if (typeof row !== "object" || row === null || Array.isArray(row)) return row;
  const complete: BundleRow = { ...row };
  for (const property of times) {
    const time = complete[property];
    if (typeof time === "string") complete[property] = new Date(time);
  }
  return complete;
}
