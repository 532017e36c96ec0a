import { expect, test } from "vitest";
import { Mutex } from "../../src/async/mutex.ts";
import { nextTurn } from "../../src/async/pause.ts";

test("work runs one at a time, in the order in which it was given", async () => {
  const mutex = new Mutex();
  const log: string[] = [];
  const slow = (name: string) => async () => {
    log.push(`${name} starts`);
    await nextTurn();
    log.push(`${name} ends`);
  };
  const all = [mutex.run(slow("a")), mutex.run(() => log.push("b")), mutex.run(slow("c"))];
  await all[0];
  // Given while c waits: it must not overtake it.
  all.push(mutex.run(() => log.push("d")));
  await Promise.all(all);
  expect(log).toEqual(["a starts", "a ends", "b", "c starts", "c ends", "d"]);
});

test("work that fails rejects its caller alone", async () => {
  const mutex = new Mutex();
  const failing = mutex.run(() => {
    throw new Error("no");
  });
  const rejecting = mutex.run(() => Promise.reject(new Error("no, later")));
  const succeeding = mutex.run(() => 1);
  await expect(failing).rejects.toThrow("no");
  await expect(rejecting).rejects.toThrow("no, later");
  expect(await succeeding).toBe(1);
});

test("work that nothing stands before runs in the call itself", async () => {
  let ran = false;
  const result = new Mutex().run(() => (ran = true));
  expect(ran).toBe(true);
  await result;
});
