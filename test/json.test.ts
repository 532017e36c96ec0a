import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InvalidValueError } from "../src/errors.ts";
import { decodeJson, encodeDecoded, encodeJson, parseJson, utf8ByteLength } from "../src/json.ts";
import { seeded } from "./support/seed.ts";

const encode = (value: unknown) => encodeJson(value, "input", 1000);

function pathOf(value: unknown): string | null {
  try {
    encode(value);
    return null;
  } catch (error) {
    if (error instanceof InvalidValueError) return error.path;
    throw error;
  }
}

/** Without -0, which is refused. */
const jsonValues = fc
  .jsonValue({ noUnicodeString: false })
  .map((value): unknown => JSON.parse(JSON.stringify(value)));

describe("strict JSON", () => {
  test("reads back equal to what was written", () => {
    fc.assert(
      fc.property(jsonValues, (value) => {
        expect(JSON.parse(encodeJson(value, "input", 1_000_000))).toEqual(value);
      }),
      seeded,
    );
  });

  const keys = fc.constantFrom("$gorkflow.bytes", "$$gorkflow.bytes", "$$$gorkflow.bytes", "a");
  const marked = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 3, depthSize: "small" },
      fc.uint8Array({ maxLength: 9 }),
      fc.constantFrom("AAAA", "AA==", "no base64", 1),
      fc.array(tie("value"), { maxLength: 3 }),
      fc.dictionary(keys, tie("value")),
    ),
  }));

  test("bytes read back, and nothing else reads back as bytes", () => {
    fc.assert(
      fc.property(marked.value, (value) => {
        const text = encodeJson(value, "input", 1_000_000);
        expect(decodeJson(text)).toEqual(value);
        expect(parseJson(text)).toEqual(value);
        expect(encodeDecoded(decodeJson(text))).toBe(text);
      }),
      seeded,
    );
  });

  test("text that only resembles bytes reads as it is, and is written back equal", () => {
    for (const text of [
      '{"$gorkflow.bytes":5}',
      '{"$gorkflow.bytes":"AB=="}',
      '{"$gorkflow.bytes":"A A="}',
      '{"$gorkflow.bytes":"AAAA","more":1}',
    ]) {
      const value = decodeJson(text);
      expect(value).toEqual(JSON.parse(text));
      expect(decodeJson(encodeDecoded(value))).toEqual(value);
    }
  });

  test("bytes of another realm read back", () => {
    const bytes: unknown = runInNewContext("new Uint8Array([1, 2, 3])");
    expect(decodeJson(encodeJson(bytes, "input", 100))).toEqual(new Uint8Array([1, 2, 3]));
  });

  const cycle: Record<string, unknown> = {};
  cycle["self"] = { cycle };
  const holes = [1];
  holes[2] = 3;
  const extra = Object.assign([1], { extra: 1 });

  test.each<[string, unknown, string]>([
    ["NaN", { items: [1, 2, Number.NaN] }, "input.items[2]"],
    ["Infinity", Number.POSITIVE_INFINITY, "input"],
    ["-0", [-0], "input[0]"],
    ["a bigint", { a: 1n }, "input.a"],
    ["a Date", { at: new Date(0) }, "input.at"],
    ["a Map", { map: new Map() }, "input.map"],
    ["a typed array", new Uint16Array(2), "input"],
    ["a Buffer", { file: Buffer.from("x") }, "input.file"],
    ["an ArrayBuffer", new ArrayBuffer(1), "input"],
    ["bytes with a symbol", Object.assign(new Uint8Array(1), { [Symbol("s")]: 1 }), "input"],
    ["a class instance", { error: new Error("x") }, "input.error"],
    ["a function", { "not an identifier": () => 1 }, 'input["not an identifier"]'],
    ["a symbol", { s: Symbol("s") }, "input.s"],
    ["a symbol key", { [Symbol("s")]: 1 }, "input"],
    [
      "an accessor",
      {
        get a() {
          return 1;
        },
      },
      "input.a",
    ],
    ["a hidden property", Object.defineProperty({}, "a", { value: 1 }), "input.a"],
    ["an array with holes", holes, "input"],
    ["an array with properties", extra, "input"],
    ["undefined at the top", undefined, "input"],
    ["undefined in an array", [undefined], "input[0]"],
    ["a cycle", cycle, "input.self.cycle"],
  ])("refuses %s and names where it is", (_name, value, path) => {
    expect(pathOf(value)).toBe(path);
  });

  test("drops an undefined property and keeps an own __proto__", () => {
    expect(encode({ a: undefined, b: 1 })).toBe('{"b":1}');
    const value: unknown = JSON.parse('{"__proto__": {"x": 1}}');
    expect(JSON.parse(encode(value))).toEqual(value);
    expect(encode(value)).toBe('{"__proto__":{"x":1}}');
  });

  test("refers to one value twice without calling it a cycle", () => {
    const shared = { a: 1 };
    expect(encode([shared, shared])).toBe('[{"a":1},{"a":1}]');
  });

  test("counts the limit in bytes of UTF-8, and allows it exactly", () => {
    expect(encodeJson("é".repeat(4), "input", 10)).toBe(`"${"é".repeat(4)}"`);
    expect(() => encodeJson("é".repeat(4), "input", 9)).toThrow(InvalidValueError);
  });

  test("refuses nesting that SQLite's JSON functions could not read", () => {
    let value: unknown = 1;
    for (let depth = 0; depth < 100_000; depth++) value = [value];
    expect(() => encode(value)).toThrow(InvalidValueError);
  });
});

test("measures text as TextEncoder does", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect(utf8ByteLength(text)).toBe(new TextEncoder().encode(text).length);
    }),
    seeded,
  );
});

test("every value that is written reads back, integers beyond 2 ** 53 too", () => {
  for (const value of [2 ** 53, 2 ** 60, 2 ** 67, 123456789012345680000, 1e21, 5e-324, 1e308]) {
    expect(parseJson(encode([value, -value]))).toEqual([value, -value]);
  }
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (number) => {
      fc.pre(!Object.is(number, -0));
      expect(parseJson(encode({ number }))).toEqual({ number });
    }),
    seeded,
  );
});

test("a cut off or very long text with a large number is read in linear time", () => {
  const begun = performance.now();
  expect(parseJson(`{"a":1e21,"b":"${"a".repeat(100)}`)).toBeUndefined();
  const long = JSON.stringify({ a: 1e21, b: '"\\\n'.repeat(1e6), c: 2 ** 60 });
  expect(parseJson(long)).toEqual(JSON.parse(long));
  expect(parseJson(long.replace("1e+21", "9007199254740993"))).toBeUndefined();
  expect(performance.now() - begun).toBeLessThan(10_000);
});

test("a long text with many zeros is read in linear time", () => {
  const begun = performance.now();
  const zeros = JSON.stringify(Array.from({ length: 200_000 }, () => 0));
  expect(parseJson(zeros)).toHaveLength(200_000);
  expect(performance.now() - begun).toBeLessThan(10_000);
});

test("a number that is read as 0, and is not, is refused", () => {
  for (const text of ["1e-400", "[0, 1E-999]", `0.${"0".repeat(400)}1`]) {
    expect(parseJson(text)).toBeUndefined();
  }
  expect(parseJson('{"a":0,"b":"e-"}')).toEqual({ a: 0, b: "e-" });
});
