// Moves from a file to a server as docs/moving.md has it, while writers go on; a process that was killed is started
// again with the same arguments: URLs of both, the record of the switch, and a number of its own. Says each write that
// was acknowledged, and when it has switched; ends when it is told to.
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { openStore } from "../../../src/open-store.ts";
import { copyStore, MirroredStore } from "../../../src/transfer/index.ts";

const [fileUrl = "", serverUrl = "", record = "", ownNumber = ""] = process.argv.slice(2);
const [file, server] = [await openStore(fileUrl), await openStore(serverUrl)];

const hasMoved = existsSync(record);
const store = hasMoved ? new MirroredStore(server, file) : new MirroredStore(file, server);

let writing = true;
process.on("message", () => (writing = false));

async function write(writer: number): Promise<void> {
  for (let n = 0; writing; n++) {
    const runId = `of-${ownNumber}-${writer}-${n}`;
    await store.createRun({ runId, workflowId: "moving", input: { n } });
    await store.saveState(runId, "n", n);
    process.send?.({ written: runId });
    if (n % 5 === 4) {
      const deleted = `of-${ownNumber}-${writer}-${n - 2}`;
      process.send?.({ deleting: deleted });
      await store.deleteRun(deleted);
    }
    await sleep(15);
  }
}
const writers = [0, 1, 2].map(write);

if (!hasMoved) {
  await copyStore(file, server, { resume: true });
  process.send?.({ copied: true });
  await store.switchOver({
    maxPauseMs: 30_000,
    recordSwitch: () => writeFile(record, "", { flush: true }),
  });
}
process.send?.({ switched: true });
await Promise.all(writers);
// What a process that was killed had not brought over yet is not known to this one.
await store.resync();
await store.drain();
await store.close();
process.disconnect();
