import { createHash } from "node:crypto";
import * as z from "zod";
import {
  CorruptRowError,
  ExportTooNewError,
  InvalidArgumentError,
  InvalidExportError,
  InvalidValueError,
} from "../../errors.ts";
import { parseJson } from "../../json.ts";
import { compiledMigrations } from "../../migrations/compiled.ts";
import { parseBundle, type RunBundle } from "../../model/bundles.ts";
import { withoutDerivedInput } from "../../model/step-inputs.ts";
import { bundleParts, rowsOf, type BundlePart, type BundleRow } from "../bundle-parts.ts";

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
  /** Of all lines before this one, each with its line feed, and of `corrupt` as JSON unless it is empty. */
  sha256: z.hash("sha256"),
});
export type ExportTrailer = z.output<typeof trailerSchema>;

/** The checksum of the lines so far. */
export class LineChecksum {
  readonly #hash = createHash("sha256");

  add(line: string): void {
    this.#hash.update(line).update("\n");
  }

  /** With what the trailer itself names. */
  digest(corrupt: ExportTrailer["corrupt"] = []): string {
    const hash = this.#hash.copy();
    if (corrupt.length > 0) hash.update(JSON.stringify(corrupt));
    return hash.digest("hex");
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

/** A run whose text is longer gets several lines: a string cannot be longer than 512 MiB. */
const maxLineLength = 64 * 1024 * 1024;

/**
 * The lines of a bundle: one, but for the largest runs. Times are ISO 8601; everything else is JSON unchanged.
 *
 * @throws {CorruptRowError} for a value that an import would refuse.
 */
export function encodeBundle(bundle: RunBundle, maxLength = maxLineLength): string[] {
  const lines: string[] = [];
  let parts = new Map<string, string[]>();
  let length = 0;
  const endLine = () => {
    const [head, ...children] = bundleParts.map(({ name }) => {
      const rows = parts.get(name) ?? [];
      if (name !== "run") return `"${name}":[${rows.join(",")}]`;
      return rows.length === 1
        ? `"run":${rows[0]}`
        : `"continues":${JSON.stringify(bundle.run.runId)}`;
    });
    lines.push(`{${[head, ...children].join(",")}}`);
    parts = new Map();
    length = 0;
  };
  // An input that follows from outputs may be larger than what a store takes.
  const stored = { ...bundle, steps: bundle.steps.map(withoutDerivedInput) };
  for (const part of bundleParts) {
    for (const row of rowsOf(stored, part)) {
      const text = encodeRow(row, part, bundle.run.runId);
      if (length > 0 && length + text.length > maxLength) endLine();
      const texts = parts.get(part.name);
      if (texts === undefined) parts.set(part.name, [text]);
      else texts.push(text);
      length += text.length;
    }
  }
  endLine();
  return lines;
}

function encodeRow(row: BundleRow, part: BundlePart, runId: string): string {
  const { columns, payloads, keys, properties, table } = part;
  const cells = properties.flatMap((property) => {
    const value = row[property];
    const column = columns[property];
    if (value === undefined || column === undefined) return [];
    try {
      const isJson = payloads.has(property) && (value !== null || column.notNull);
      const text = isJson ? String(column.mapToDriverValue(value)) : JSON.stringify(value);
      return [`${JSON.stringify(property)}:${text}`];
    } catch (error) {
      if (!(error instanceof InvalidValueError)) throw error;
      const names = keys.map((key) => [columns[key]?.name ?? key, String(row[key])] as const);
      const key = { run_id: runId, ...Object.fromEntries(names) };
      throw new CorruptRowError({ table, key, column: column.name }, { cause: error });
    }
  });
  return `{${cells.join(",")}}`;
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

/** A line that is neither header nor trailer: a run, or more rows of the run before. */
export type RecordLine = Readonly<Record<string, unknown>>;

/**
 * The content of a line.
 *
 * @throws {InvalidExportError} that names the line.
 */
export function decodeLine(text: string, line: number): RecordLine | ExportTrailer {
  const record = parseLine(text, line);
  if (!isTrailer(record)) return record;
  const trailer = trailerSchema.safeParse(record);
  if (trailer.success) return trailer.data;
  throw new InvalidExportError({ line, reason: "is a trailer that cannot be read" });
}

/** The run of a line with the rows of a line that continues it; null if it does not. */
export function continueRecord(record: RecordLine, next: RecordLine): RecordLine | null {
  const { continues, ...rows } = next;
  const { run } = record;
  const isSame =
    typeof run === "object" && run !== null && "runId" in run && run.runId === continues;
  if (continues === undefined || !isSame) return null;
  const both = { ...record };
  for (const [name, more] of Object.entries(rows)) {
    const before = both[name];
    if (!Array.isArray(before) || !Array.isArray(more)) return null;
    both[name] = before.concat(more);
  }
  return both;
}

/**
 * The bundle of a record.
 *
 * @throws {InvalidExportError} that names the line and the field, never its value.
 */
export function decodeBundle(record: RecordLine, line: number): RunBundle {
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

/**
 * Passes when every value of the bundle can be stored.
 *
 * @throws {InvalidExportError} that names the line and the field.
 */
export function checkValues(bundle: RunBundle, line: number): void {
  for (const part of bundleParts) {
    for (const [index, row] of rowsOf(bundle, part).entries()) {
      try {
        encodeRow(row, part, bundle.run.runId);
      } catch (error) {
        if (!(error instanceof CorruptRowError)) throw error;
        const place = part.name === "run" ? "run" : `${part.name}[${index}]`;
        const reason = error.cause instanceof Error ? error.cause.message : error.message;
        throw new InvalidExportError({ line, reason: `${place}.${reason}` }, { cause: error });
      }
    }
  }
}

/** True for the last line of an export. */
export function isTrailer(record: object): record is ExportTrailer {
  return "format" in record;
}

function parseLine(text: string, line: number): RecordLine {
  const value = parseJson(text);
  if (typeof value === "object" && value !== null) return value as RecordLine;
  const reason =
    value === undefined
      ? "is not JSON, or has a number that would not be kept exactly"
      : "is not a JSON object";
  throw new InvalidExportError({ line, reason });
}

/** The row with its times as `Date`. Everything else is left for the schema to refuse. */
function withTimes(row: unknown, times: readonly string[]): unknown {
  if (typeof row !== "object" || row === null || Array.isArray(row)) return row;
  const complete: BundleRow = { ...row };
  for (const property of times) {
    const time = complete[property];
    if (typeof time === "string" && isTime(time)) complete[property] = new Date(time);
  }
  return complete;
}

/** Making it takes two hundred times as long as using it. */
const timeSchema = z.iso.datetime({ offset: true });

/** True for ISO 8601 with a zone: anything else would be guessed, or read in the local zone. */
function isTime(text: string): boolean {
  if (timeSchema.safeParse(text).success) return true;
  // Years beyond 9999, as they are written by `toISOString`.
  const date = new Date(text);
  return !Number.isNaN(date.getTime()) && date.toISOString() === text;
}
