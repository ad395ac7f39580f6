// gate.py for a Node program: `node --import gate.mjs program.js` puts it before all of its HTTP servers.
// The pages are MailDev's: its own scripts, and mails, which are anybody's and run none.
import { Server } from "node:http";

const HOST = /^(?:(?:[a-z0-9._-]+\.)?localhost|127\.0\.0\.1|\[::1\]):(\d+)$/;
const COMMON = "default-src 'none'; img-src * data:; font-src * data:; frame-ancestors 'none'";
const PAGE = `${COMMON}; script-src 'self'; style-src * 'unsafe-inline'; connect-src 'self'; base-uri 'self'; form-action 'none'`;
const MAIL = `${COMMON}; style-src * 'unsafe-inline'; sandbox allow-same-origin allow-popups`;

const mayPass = ({ headersDistinct: sent }, port) => {
  const [host = "", ...more] = sent.host ?? [];
  return !more.length && Number(HOST.exec(host)?.[1]) === port
    && (sent.origin ?? []).every((origin) => origin === `http://${host}`)
    && (sent["sec-fetch-site"] ?? []).every((site) => site === "same-origin" || site === "none");
};

const { emit } = Server.prototype;
Server.prototype.emit = function (event, request, answer, ...rest) {
  if (event !== "request" && event !== "upgrade") return emit.call(this, event, request, answer, ...rest);
  if (!mayPass(request, this.address().port)) {
    if (event === "upgrade") answer.end("HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n");
    else answer.writeHead(403, { Connection: "close" }).end("another page asks, or has a link here: type the address in\n");
    return true;
  }
  if (event === "request") {
    answer.setHeader("Content-Security-Policy", request.url.startsWith("/api/") ? MAIL : PAGE);
    answer.setHeader("X-Content-Type-Options", "nosniff");
  }
  return emit.call(this, event, request, answer, ...rest);
};
