import { generateKeyPairSync, sign } from "node:crypto";

/** What a token of a libSQL server says: `a` is what it allows, `exp` when it ends, in seconds since 1970. */
export interface TokenClaims {
  readonly a?: "rw" | "ro";
  readonly exp?: number;
}

/** A key of its own (Ed25519), and the tokens that it signs. */
export function createTokenIssuer() {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const part = (content: object) => Buffer.from(JSON.stringify(content)).toString("base64url");
  return {
    /** In PEM, as a server takes it. */
    publicKey: publicKey.export({ type: "spki", format: "pem" }).toString(),
    issue(claims: TokenClaims): string {
      const content = `${part({ alg: "EdDSA", typ: "JWT" })}.${part(claims)}`;
      return `${content}.${sign(null, Buffer.from(content), privateKey).toString("base64url")}`;
    },
  };
}
