import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { compileProgram, startProgram } from "../../support/child-processes.ts";

test("a process whose first connection is cut off at once learns of it, and does not end in silence", async () => {
  const program = await compileProgram(`${import.meta.dirname}/programs/first-request.ts`);
  const server = createServer((socket) => socket.on("error", () => {}).destroy());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = startProgram(program, [url, "1000"]);
  onTestFinished(() => client.kill());
  expect(await client.ended).toEqual({ code: 0, signal: null });
  expect(client.messages).toEqual([{ code: "STORE_CONNECTION" }]);
});
