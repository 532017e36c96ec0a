import { spawn, type ChildProcess } from "node:child_process";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { join } from "node:path";
import { temporaryFolder } from "./temporary.ts";

/** A real libSQL server on loopback, with a data folder of its own. */
export interface Sqld {
  readonly httpUrl: string;
  readonly webSocketUrl: string;
  readonly port: number;
  /** Ends the process as a crash would, and keeps its data. */
  kill(): Promise<void>;
  /** Starts it again on the same data and the same port. */
  restart(): Promise<void>;
  /** Ends it and removes its data. */
  stop(): Promise<void>;
}

export interface SqldOptions {
  /** More options of the command line. */
  readonly args?: readonly string[];
}

/**
 * The server's binary, which comes with the package `sqld` for this platform.
 *
 * @throws when the platform has none: a suite that needs it must not pass without it.
 */
function sqldBinary(): string {
  const name = `@sqld/${process.platform}-${process.arch}`;
  return createRequire(import.meta.url).resolve(`${name}/sqld`);
}

export async function startSqld({ args = [] }: SqldOptions = {}): Promise<Sqld> {
  const folder = await temporaryFolder();
  const port = await freePort();
  let child = await launch();

  async function launch(): Promise<ChildProcess> {
    const started = spawn(
      sqldBinary(),
      [
        "--no-welcome",
        "--disable-metrics",
        "--db-path",
        join(folder.path, "data"),
        "--http-listen-addr",
        `127.0.0.1:${port}`,
        ...args,
      ],
      { stdio: ["ignore", "ignore", "pipe"] },
    );
    running.add(started);
    let output = "";
    started.stderr.on("data", (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-2000);
    });
    await waitUntilReady(started, `http://127.0.0.1:${port}/health`, () => output);
    return started;
  }

  const kill = () => end(child, "SIGKILL");
  return {
    httpUrl: `http://127.0.0.1:${port}`,
    webSocketUrl: `ws://127.0.0.1:${port}`,
    port,
    kill,
    async restart() {
      await kill();
      child = await launch();
    },
    async stop() {
      await kill();
      await folder.remove();
    },
  };
}

const running = new Set<ChildProcess>();
// A test run that ends for whatever reason leaves no server behind.
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  running.delete(child);
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise((resolve) => {
    child.once("exit", resolve);
  });
  child.kill(signal);
  await exited;
}

async function waitUntilReady(
  child: ChildProcess,
  url: string,
  output: () => string,
): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt++) {
    if (child.exitCode !== null) throw new Error(`sqld ended: ${output()}`);
    const response = await fetch(url).catch(() => null);
    if (response?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`sqld does not answer: ${output()}`);
}

/** A port of loopback that nobody listens on. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() =>
        typeof address === "object" && address !== null
          ? resolve(address.port)
          : reject(new Error("no port")),
      );
    });
  });
}
