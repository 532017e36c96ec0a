// npm run deploy
//
// Migrates the database before a worker of this release takes requests.
import { LibSQLStore } from "gorkflow";

const store = await LibSQLStore.open({
  url: process.env["DATABASE_URL"] ?? "http://127.0.0.1:8080",
  authToken: process.env["AUTH_TOKEN"],
});
await store.close();
