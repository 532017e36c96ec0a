import { guardTelemetry } from "./guarded-telemetry.ts";
import { createOpenTelemetry } from "./open-telemetry.ts";
import { noTelemetry, type Telemetry } from "./telemetry.ts";

/**
 * False while the app has no provider of OpenTelemetry. Its API keeps them here, and loading the API takes tens of
 * milliseconds, in which nothing else runs.
 */
export function hasTelemetry(): boolean {
  return Reflect.has(globalThis, Symbol.for("opentelemetry.js.api.1"));
}

/**
 * OpenTelemetry, when the app has its API, with the providers that are registered now; nothing otherwise. What it
 * throws is told to `report` alone.
 *
 * The import stands inside `try`: so a bundler takes the module for optional, too.
 */
export async function findTelemetry(report: (error: unknown) => void): Promise<Telemetry> {
  try {
    return guardTelemetry(createOpenTelemetry(await import("@opentelemetry/api")), report);
  } catch {
    return noTelemetry;
  }
}
