import fc from "fast-check";
import { expect, test } from "vitest";
import { InvalidArgumentError } from "../../src/errors.ts";
import {
  comparePositions,
  compareText,
  decodeCursor,
  encodeCursor,
} from "../../src/model/cursors.ts";
import { nextCursor, parseListQuery } from "../../src/model/run-queries.ts";
import { seeded } from "../support/seed.ts";

const text = fc.string({ unit: "binary" });

test("orders text as its UTF-8 bytes are ordered", () => {
  fc.assert(
    fc.property(text, text, (a, b) => {
      fc.pre(a.isWellFormed() && b.isWellFormed());
      expect(Math.sign(compareText(a, b))).toBe(
        Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b))),
      );
    }),
    seeded,
  );
  expect(compareText("\uffff", "\u{10000}")).toBeLessThan(0);
});

test("orders runs by time first", () => {
  const early = { createdAt: new Date(1), runId: "z" };
  const late = { createdAt: new Date(2), runId: "a" };
  expect(comparePositions(early, late)).toBeLessThan(0);
  expect(comparePositions(late, { ...late, runId: "b" })).toBeLessThan(0);
});

const positionCell = fc.oneof(
  text.filter((cell) => cell.isWellFormed()),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => number + 0),
  fc.uint8Array(),
);

test("a cursor gives back its position", () => {
  fc.assert(
    fc.property(positionCell, positionCell, text, (runId, createdAt, query) => {
      const cursor = encodeCursor({ createdAt, runId }, query);
      expect(cursor).toMatch(/^[\w-]+$/);
      expect(decodeCursor(cursor, query)).toEqual({ createdAt, runId });
    }),
    seeded,
  );
});

test("refuses the cursor of another query, and what is no cursor", () => {
  const cursor = encodeCursor({ createdAt: 0, runId: "r" }, "one query");
  expect(() => decodeCursor(cursor, "another")).toThrow(/another query/);
  for (const bad of [
    "",
    "%%%",
    btoa("nonsense"),
    btoa("{}"),
    btoa("[1]"),
    btoa('["x", null, "r"]'),
    btoa('["x", { "blob": 1 }, "r"]'),
  ]) {
    expect(() => decodeCursor(bad, "one query"), bad).toThrow(InvalidArgumentError);
  }
});

test("a cursor with more parts than a position is rejected", () => {
  const cursor = encodeCursor({ createdAt: 1, runId: "r" }, "query");
  const parts = JSON.parse(atob(cursor)) as unknown[];
  expect(() => decodeCursor(btoa(JSON.stringify([...parts, "more"])), "query")).toThrow(
    InvalidArgumentError,
  );
});

test("a cursor belongs to its filter, whatever the order of the tags", () => {
  const after = { createdAt: 1, runId: "r" };
  const cursor = nextCursor("list", parseListQuery({ tags: { a: "1", b: "2" } }), after);
  expect(parseListQuery({ tags: { b: "2", a: "1" }, cursor }).after).toEqual(after);
  expect(() => parseListQuery({ tags: { a: "2", b: "1" }, cursor })).toThrow(InvalidArgumentError);
});
