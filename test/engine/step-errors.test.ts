import { expect, test } from "vitest";
import {
  describeFailure,
  kindOf,
  readable,
  withoutBoundValues,
} from "../../src/engine/run/step-errors.ts";
import { encodeJson } from "../../src/json.ts";
import { jsonLimits } from "../../src/schema/columns.ts";

class PaymentError extends Error {
  override readonly name = "PaymentError";
  readonly code = "CARD_DECLINED";
  readonly details = { retryAfter: 30, note: undefined };
}

test("keeps name, code, message, step, attempt, details and cause", () => {
  const error = new PaymentError("the card was declined", { cause: new TypeError("no card") });
  expect(describeFailure(error, "charge", 2)).toEqual({
    name: "PaymentError",
    code: "CARD_DECLINED",
    message: "the card was declined",
    details: { retryAfter: 30 },
    cause: { name: "TypeError", message: "no card" },
    stepId: "charge",
    attempt: 2,
  });
});

test("describes a thrown value that is not an error, without its content", () => {
  expect(describeFailure("out of paper", "s", 1).message).toBe("out of paper");
  expect(describeFailure({ secret: 1 }, "s", 1).message).toBe("a value of type object was thrown");
  expect(describeFailure(undefined, "s", 1).message).toBe("a value of type undefined was thrown");
});

test("drops details that JSON cannot represent, and keeps the error", () => {
  const error = Object.assign(new Error("no"), { details: { at: new Date(0) } });
  expect(describeFailure(error, "s", 1)).toEqual({
    name: "Error",
    message: "no",
    stepId: "s",
    attempt: 1,
  });
});

test("removes the bound values of a failed query", () => {
  const error = Object.assign(new Error("Failed query: insert … params: 4111111111111111"), {
    query: "insert into cards values (?)",
    params: ["4111111111111111"],
  });
  const text = JSON.stringify(describeFailure(error, "s", 1));
  expect(text).not.toContain("4111");
  expect(text).toContain("insert into cards values (?)");
});

test("never exceeds the size of an error column", () => {
  let error: Error | undefined;
  for (let level = 0; level < 50; level++) {
    error = Object.assign(new Error("\u0001".repeat(1e6), { cause: error }), {
      name: "\u0002".repeat(1e6),
      code: "\u0003".repeat(1e6),
      details: "\u0004".repeat(1300),
    });
  }
  const failure = describeFailure(error, "\u0005".repeat(255), 1);
  expect(() => encodeJson(failure, "error", jsonLimits.detail)).not.toThrow();
  expect(failure.cause?.cause?.cause?.cause?.cause).toBeUndefined();
});

test("cuts a message without breaking a character", () => {
  const { message } = describeFailure(new Error("😀".repeat(2000)), "s", 1);
  expect(message.isWellFormed()).toBe(true);
  expect(message.length).toBeLessThanOrEqual(2048);
});

test("accepts errors whose name and message were overwritten", () => {
  const error = Object.assign(new Error("x"), { name: 7, message: { toString: null }, code: {} });
  expect(describeFailure(error, "s", 1)).toMatchObject({ name: "Error", message: "" });
});

test("accepts an error that is its own cause", () => {
  const error = new Error("round");
  error.cause = error;
  expect(describeFailure(error, "s", 1).cause?.cause?.cause?.cause?.message).toBe("round");
});

const throwing = (name: string): Error =>
  Object.defineProperty(new Error("x"), name, {
    get() {
      throw new Error("from a getter");
    },
  });

/** Every access throws, even the check whether it is an error. */
function makeUnreadable(): object {
  const { proxy, revoke } = Proxy.revocable(new Error("x"), {});
  revoke();
  return proxy;
}

test("accepts errors that throw when they are read, and unreadable values", () => {
  expect(describeFailure(throwing("message"), "s", 1)).toMatchObject({
    name: "Error",
    message: "",
  });
  for (const name of ["name", "code", "details", "cause"]) {
    const failure = describeFailure(throwing(name), "s", 1);
    expect(failure).toEqual({ name: "Error", message: "x", stepId: "s", attempt: 1 });
    expect(kindOf(throwing(name))).toBe("Error");
  }
  const message = "a value that cannot be read was thrown";
  expect(readable(makeUnreadable())).toEqual(new Error(message));
  const caused = new Error("x", { cause: makeUnreadable() });
  expect(describeFailure(caused, "s", 1).cause).toEqual({ name: "Error", message });
  expect(withoutBoundValues(caused)).toBe(caused);
});
