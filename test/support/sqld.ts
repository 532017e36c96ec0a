import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { temporaryFolder } from "./temporary.ts";

/** A libSQL server on loopback with its own data folder. */
export interface Sqld {
  readonly httpUrl: string;
  readonly webSocketUrl: string;
  readonly port: number;
  /** The port from which replicas and embedded replicas read frames. */
  readonly grpcPort: number;
  /** Kills the process and keeps its data. */
  kill(): Promise<void>;
  /** Kills the process and starts it again with the same data and ports. */
  restart(): Promise<void>;
  /** Kills the process and removes its data. */
  stop(): Promise<void>;
}

export interface SqldOptions {
  /** In PEM. Tokens must be signed by its private key. */
  readonly publicKey?: string;
  /** The `grpcPort` of a primary. It makes the server a read replica. */
  readonly primaryGrpcPort?: number;
  /** Further command-line arguments. */
  readonly args?: readonly string[];
}

/**
 * Returns the path of the server's binary, which the package `sqld` has for some platforms.
 *
 * @throws if the platform has none, so that tests that need a server cannot pass without it.
 */
export function sqldBinary(
  platform: string = process.platform,
  architecture: string = process.arch,
): string {
  const name = `@sqld/${platform}-${architecture}`;
  try {
    return createRequire(import.meta.url).resolve(`${name}/sqld`);
  } catch (cause) {
    throw new Error(
      `these tests need a libSQL server, and ${name} is not installed: sqld is made for linux-x64, darwin-x64 and ` +
        "darwin-arm64 only",
      { cause },
    );
  }
}

export async function startSqld(options: SqldOptions = {}): Promise<Sqld> {
  for (let attempts = 1; ; attempts++) {
    try {
      return await startOnFreePorts(options);
    } catch (error) {
      // Another process may take a port before the server does.
      const isTaken = error instanceof Error && error.message.includes("Address already in use");
      if (!isTaken || attempts === 5) throw error;
    }
  }
}

async function startOnFreePorts(options: SqldOptions): Promise<Sqld> {
  const binary = sqldBinary();
  const folder = await temporaryFolder();
  const port = await freePort();
  const grpcPort = await freePort();
  const { publicKey, primaryGrpcPort } = options;
  const keyFile = join(folder.path, "public.pem");
  if (publicKey !== undefined) await writeFile(keyFile, publicKey);
  const args = [
    "--no-welcome",
    "--disable-metrics",
    `--db-path=${join(folder.path, "data")}`,
    `--http-listen-addr=127.0.0.1:${port}`,
    ...(primaryGrpcPort === undefined
      ? ["--grpc-listen-addr", `127.0.0.1:${grpcPort}`]
      : ["--primary-grpc-url", `http://127.0.0.1:${primaryGrpcPort}`]),
    ...(publicKey === undefined ? [] : ["--auth-jwt-key-file", keyFile]),
    ...(options.args ?? []),
  ];
  let child = await launch();

  async function launch(): Promise<ChildProcess> {
    const started = spawn(binary, args, { stdio: ["ignore", "ignore", "pipe"] });
    running.add(started);
    let output = "";
    started.stderr.on("data", (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-2000);
    });
    await waitUntilReady(started, `http://127.0.0.1:${port}/health`, () => output);
    return started;
  }

  const kill = () => end(child);
  return {
    httpUrl: `http://127.0.0.1:${port}`,
    webSocketUrl: `ws://127.0.0.1:${port}`,
    port,
    grpcPort,
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
// Servers end with the test process, even after an error.
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

async function end(child: ChildProcess): Promise<void> {
  running.delete(child);
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}

async function waitUntilReady(
  child: ChildProcess,
  url: string,
  output: () => string,
): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt++) {
    if (child.exitCode !== null) throw new Error(`sqld ended: ${output()}`);
    const response = await fetch(url).catch(() => null);
    if (response?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`sqld does not answer: ${output()}`);
}

/** Finds a free port on loopback. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
