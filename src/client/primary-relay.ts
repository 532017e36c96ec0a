import { once } from "node:events";
import { Worker } from "node:worker_threads";

/** The URL of a primary, and its token. */
export interface PrimaryConfig {
  readonly syncUrl: string;
  readonly authToken?: string;
}

/**
 * A server on loopback that forwards requests to a primary. It runs on its own thread.
 *
 * The binding waits for a primary without a time limit: it blocks the event loop while it opens a replica, and cannot
 * be stopped while it fetches frames. The relay answers the request of opening immediately with the response that
 * `start` got from the primary. It forwards other requests only while it is open, and aborts them when it is closed.
 */
export class PrimaryRelay {
  readonly url: string;
  readonly #worker: Worker;

  private constructor(worker: Worker, port: number) {
    this.#worker = worker;
    this.url = `http://127.0.0.1:${port}`;
  }

  /** @throws the error of `fetch` if the primary does not answer within `timeoutMs`. */
  static async start(
    { syncUrl, authToken }: PrimaryConfig,
    timeoutMs: number,
  ): Promise<PrimaryRelay> {
    const url = new URL(
      syncUrl.replace(/^libsql:/, /[?&]tls=0\b/.test(syncUrl) ? "http:" : "https:"),
    );
    url.search = "";
    if (!url.pathname.endsWith("/")) url.pathname += "/";
    // The binding sends this header even without a token.
    const authorization = `Bearer ${authToken ?? ""}`.trim();
    const info = await fetch(new URL("info", url), {
      headers: { authorization },
      signal: AbortSignal.timeout(timeoutMs),
    });
    const workerData = {
      url: url.href,
      authorization,
      status: info.status,
      body: await info.text(),
    };
    const worker = new Worker(relayProgram, { eval: true, workerData });
    worker.unref();
    // Without a listener a failure of the worker would end the process. The next sync fails instead.
    worker.on("error", () => undefined);
    const [port] = (await once(worker, "message")) as [number];
    return new PrimaryRelay(worker, port);
  }

  /** Forwards requests until the returned function is called, but for at most `timeoutMs`. */
  open(timeoutMs: number): () => void {
    this.#worker.postMessage(true, []);
    const shut = () => {
      clearTimeout(timer);
      this.#worker.postMessage(false, []);
    };
    const timer = setTimeout(shut, timeoutMs);
    return shut;
  }

  close(): void {
    void this.#worker.terminate();
  }
}

/** A text and not a file, because a bundled app may not have the file. */
const relayProgram = `
const http = require("node:http");
const https = require("node:https");
const { parentPort, workerData: { url, authorization, status, body } } = require("node:worker_threads");
const target = new URL(url);
const { request } = target.protocol === "https:" ? https : http;
const basePath = target.pathname.replace(/\\/$/, "");
const refusal = { "content-type": "application/grpc-web", "grpc-status": "14" };
let isOpen = false;
const underWay = new Set();
// The binding takes the namespace from the host that it connects to.
const namespace = Buffer.from(target.hostname.split(".")[0]).toString("base64").replace(/=+$/, "");
const server = http.createServer((asked, answer) => {
  // Other programs of this machine can reach the port.
  const shown = asked.headers["x-authorization"] ?? asked.headers.authorization;
  if (shown !== authorization) return answer.writeHead(401).end();
  if (asked.url === "/info") return answer.writeHead(status).end(body);
  if (!isOpen) return answer.writeHead(200, refusal).end();
  const passedOn = request({
    protocol: target.protocol,
    hostname: target.hostname.replace(/^\\[|\\]$/g, ""),
    port: target.port,
    method: asked.method,
    path: basePath + asked.url,
    headers: { ...asked.headers, host: target.host, "x-namespace-bin": namespace },
  }, (given) => {
    answer.writeHead(given.statusCode, given.headers);
    given.on("error", () => answer.destroy());
    given.pipe(answer);
  });
  passedOn.on("error", () => answer.destroy());
  underWay.add(answer);
  answer.on("close", () => {
    underWay.delete(answer);
    passedOn.destroy();
  });
  asked.pipe(passedOn);
});
parentPort.on("message", (opens) => {
  isOpen = opens;
  if (!opens) for (const answer of underWay) answer.destroy();
});
server.listen(0, "127.0.0.1", () => parentPort.postMessage(server.address().port));
`;
