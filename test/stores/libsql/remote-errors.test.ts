import { inspect } from "node:util";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { LibSQLStore } from "../../../src/stores/libsql/libsql-store.ts";
import type { OpenOptions } from "../../../src/stores/libsql/open-options.ts";
import { freePort, startSqld, type Sqld } from "../../support/sqld.ts";
import { temporaryFolder, type TemporaryFolder } from "../../support/temporary.ts";
import { createTokenIssuer } from "../../support/tokens.ts";

const issuer = createTokenIssuer();
const anHourAgo = Math.floor(Date.now() / 1000) - 3600;
const tokens = {
  wrong: createTokenIssuer().issue({ a: "rw" }),
  expired: issuer.issue({ a: "rw", exp: anHourAgo }),
  readOnly: issuer.issue({ a: "ro" }),
  right: issuer.issue({ a: "rw" }),
};
const secretPayload = "a payload that nobody must see";

let folder: TemporaryFolder;
let guarded: { readonly primary: Sqld; readonly replica: Sqld };
let limited: { readonly primary: Sqld; readonly replica: Sqld };
let empty: { readonly primary: Sqld; readonly replica: Sqld };
let namespaces: Sqld;

async function startPair(options: { publicKey?: string; args?: string[] }) {
  const primary = await startSqld(options);
  const replica = await startSqld({ ...options, primaryGrpcPort: primary.grpcPort });
  return { primary, replica };
}

beforeAll(async () => {
  folder = await temporaryFolder();
  [guarded, limited, empty, namespaces] = await Promise.all([
    startPair({ publicKey: issuer.publicKey }),
    startPair({ args: ["--max-response-size", "1MB"] }),
    startPair({}),
    startSqld({ args: ["--enable-namespaces"] }),
  ]);
  for (const [pair, token] of [
    [guarded, { authToken: tokens.right }],
    [limited, {}],
  ] as const) {
    await (await LibSQLStore.open({ url: pair.primary.httpUrl, ...token })).close();
    const openAtReplica = () =>
      LibSQLStore.open({ url: pair.replica.httpUrl, ...token, migrate: false });
    // A replica has the tables a moment after its primary.
    await vi.waitFor(async () => (await openAtReplica()).close(), 10_000);
  }
});
afterAll(async () => {
  const pairs = [guarded, limited, empty];
  await Promise.all(pairs.flatMap(({ primary, replica }) => [primary.stop(), replica.stop()]));
  await namespaces.stop();
  await folder.remove();
});

const paths = ["a file", "HTTP", "WebSocket", "a replica", "an embedded replica"] as const;
type Path = (typeof paths)[number];

let copies = 0;

/** How a store reaches a server along a path. */
function along(path: Path, { primary, replica }: { primary: Sqld; replica: Sqld }): OpenOptions {
  copies += 1;
  const url = folder.database(`${copies}.db`);
  return {
    "a file": { url },
    HTTP: { url: primary.httpUrl },
    WebSocket: { url: primary.webSocketUrl },
    "a replica": { url: replica.httpUrl },
    "an embedded replica": { url, syncUrl: primary.httpUrl },
  }[path];
}

/** The same for an address at which there is no server to be had. */
function towards(path: Path, address: string, secure = ""): OpenOptions {
  const http = `http${secure}://${address}`;
  copies += 1;
  if (path === "WebSocket") return { url: `ws${secure}://${address}` };
  if (path !== "an embedded replica") return { url: http };
  return { url: folder.database(`${copies}.db`), syncUrl: http };
}

const openAndCreate = async (options: OpenOptions) => {
  const store = await LibSQLStore.open(options);
  try {
    await store.createRun({ workflowId: "w", input: secretPayload });
  } finally {
    await store.close();
  }
};

const writeWithReadOnlyToken = (path: Path) =>
  openAndCreate({ ...along(path, guarded), authToken: tokens.readOnly, migrate: false });

interface Case {
  readonly cause: string;
  readonly paths: readonly Path[];
  readonly fail: (path: Path) => Promise<unknown>;
  readonly expected: Record<string, unknown>;
}

const servers = ["HTTP", "WebSocket", "a replica", "an embedded replica"] as const;
const addresses = ["HTTP", "WebSocket", "an embedded replica"] as const;

const connectionError = (message: RegExp, retryable = false) => ({
  code: "STORE_CONNECTION",
  message: expect.stringMatching(message) as string,
  outcome: "none",
  retryable,
});

const cases: readonly Case[] = [
  ...(["wrong", "expired"] as const).map((kind) => ({
    cause: `a token that is ${kind}`,
    paths: servers,
    fail: (path: Path) => openAndCreate({ ...along(path, guarded), authToken: tokens[kind] }),
    expected: connectionError(/refused the auth token/),
  })),
  {
    cause: "no token",
    paths: servers,
    fail: (path) => openAndCreate(along(path, guarded)),
    expected: connectionError(/refused the auth token/),
  },
  {
    cause: "a write with a token that only reads",
    paths: servers,
    fail: writeWithReadOnlyToken,
    expected: connectionError(/does not allow this/),
  },
  {
    cause: "a host that is not known",
    paths: addresses,
    fail: (path) => openAndCreate(towards(path, "no-such-host.invalid")),
    expected: connectionError(/host is not known/),
  },
  {
    cause: "a connection that is refused",
    paths: addresses,
    fail: async (path) => openAndCreate(towards(path, `127.0.0.1:${await freePort()}`)),
    expected: connectionError(/cannot be reached/, true),
  },
  {
    cause: "a server without TLS",
    paths: addresses,
    fail: (path) => openAndCreate(towards(path, `127.0.0.1:${empty.primary.port}`, "s")),
    expected: connectionError(/no secure connection/),
  },
  {
    cause: "a database that the server does not have",
    paths: addresses,
    fail: (path) => openAndCreate(towards(path, `127.0.0.1:${namespaces.port}`)),
    expected: connectionError(/no such database/),
  },
  {
    cause: "an answer that is too large",
    // The copy of an embedded replica is read without a server.
    paths: ["HTTP", "WebSocket", "a replica"],
    fail: async (path) => {
      const store = await LibSQLStore.open({ ...along(path, limited), migrate: false });
      try {
        const { runId } = await store.createRun({ workflowId: "w", input: "x".repeat(1_900_000) });
        await expect
          .poll(() => store.getRun(runId).catch((error: unknown) => error))
          .not.toMatchObject({ code: "RUN_NOT_FOUND" });
        await store.getRun(runId);
      } finally {
        await store.close();
      }
    },
    expected: connectionError(/larger than the server allows/),
  },
  {
    cause: "a value that is too large",
    paths,
    fail: async (path) => {
      const store = await LibSQLStore.open(along(path, limited));
      try {
        await store.createRun({ workflowId: "w", input: secretPayload.repeat(100_000) });
      } finally {
        await store.close();
      }
    },
    expected: { code: "INVALID_VALUE", path: "input" },
  },
  {
    cause: "a database without tables",
    paths,
    fail: (path) => openAndCreate({ ...along(path, empty), migrate: false }),
    expected: { code: "SCHEMA_OUT_OF_DATE" },
  },
  {
    cause: "a closed store",
    paths,
    fail: async (path) => {
      const store = await LibSQLStore.open(along(path, limited));
      await store.close();
      await store.countRuns();
    },
    expected: { code: "STORE_CLOSED" },
  },
];

describe.each(cases)("$cause", ({ paths: along_, fail, expected }) => {
  test.each(along_)("is the same error through %s, which shows no secret", async (path) => {
    const error = await fail(path).then(
      () => null,
      (failure: unknown) => failure,
    );
    expect(error).toMatchObject(expected);
    const shown = inspect(error, { depth: 10, showHidden: true });
    for (const secret of [...Object.values(tokens), secretPayload]) {
      expect(shown).not.toContain(secret);
    }
  });
});

test.each([
  "libsql://nowhere:80:80?authToken=secret-token",
  "https://no where?authToken=secret-token",
  "libsql://nowhere.invalid?authToken=secret-token&unknown=1",
])("a URL that cannot be is an argument that is not valid, without its token: %s", async (url) => {
  const error = await LibSQLStore.open(url).then(
    () => null,
    (failure: unknown) => failure,
  );
  expect(error).toMatchObject({ code: "INVALID_ARGUMENT", argument: "url" });
  expect(inspect(error, { depth: 10, showHidden: true })).not.toContain("secret-token");
});
