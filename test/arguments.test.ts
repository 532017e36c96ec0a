import { afterEach, beforeEach, describe, expect, test } from "vitest";
import * as z from "zod/mini";
import { parseArgument } from "../src/arguments.ts";
import { parseStepValue } from "../src/engine/definition/standard-schema.ts";

// `zod`, which other files of this process import, configures English.
const { localeError, customError } = z.config();
beforeEach(() => void z.config({ localeError: undefined, customError: undefined }));
afterEach(() => void z.config({ localeError, customError }));

const place = { stepId: "greet", root: "input" };

describe("an invalid value is reported in English", () => {
  test.each([
    ["without a configuration of zod", {}],
    ["if the app configured German", z.locales.de()],
    ["if the app configured its own messages", { customError: () => "nope" }],
  ])("%s", (_, config) => {
    z.config(config);
    expect(() => parseArgument(z.strictObject({ id: z.string() }), { id: 1 }, "run")).toThrow(
      "run.id: Invalid input: expected string, received number",
    );
  });
});

describe("an input that a schema of zod/mini rejects is reported", () => {
  test.each([
    ["in English without a configuration of zod", {}, "expected string, received number"],
    [
      "in the language that the app configured",
      z.locales.de(),
      "Ungültige Eingabe: erwartet string",
    ],
    ["in the app's own words", { customError: () => "nope" }, "nope"],
  ])("%s", async (_, config, message) => {
    z.config(config);
    await expect(parseStepValue(z.string(), 1, place)).rejects.toThrow(message);
  });
});
