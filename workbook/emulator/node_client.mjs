// A runtime client for Node.js handlers. It speaks the documented Runtime API
// (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html) and shows a handler what AWS's client shows it
// (https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html): promises and callbacks, the context object, the
// console's format, the shapes of errors. AWS's own client has to be compiled; this one runs as it is:
//
//     node node_client.mjs app.handler

import fs from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { format } from "node:util";

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const require = createRequire(import.meta.url);
const taskRoot = process.env.LAMBDA_TASK_ROOT;
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

let requestId; // of the invocation under way; undefined during the init phase, and AWS's log says so
let ending = false; // once an error that nobody caught is on its way: no further answer, and no further invocation
let whenNothingIsLeftToDo = () => {}; // called when the event loop is empty and Node would end

function request(method, endpoint, body = "", connection = agent) {
  return new Promise((resolve, reject) => {
    const headers = { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) };
    const path = `/2018-06-01/runtime/${endpoint}`;
    const options = { host, port, agent: connection, method, headers, path };
    const sent = http.request(options, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => {
        resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks).toString() });
      });
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

async function post(endpoint, body) {
  if (ending) return;
  const { status } = await request("POST", endpoint, body);
  if (status !== 202) throw new Error(`Failed to post ${endpoint}. Http response code: ${status}`);
}

// --- The log: one line a record, its inner line breaks as carriage returns

function patchConsole() {
  const levels = { trace: "TRACE", debug: "DEBUG", log: "INFO", info: "INFO", warn: "WARN", error: "ERROR" };
  for (const [method, level] of Object.entries(levels)) {
    console[method] = (...values) => {
      const line = [new Date().toISOString(), requestId, level, format(...values)].map(String).join("\t");
      process.stdout.write(`${line.replaceAll("\n", "\r")}\n`);
    };
  }
}

function logError(title, error) {
  console.error(title, `\t${withProperties(error)}`);
}

function withProperties(error) {
  const { name: errorType, message: errorMessage, code, stack = "" } = error;
  try {
    return JSON.stringify({ errorType, errorMessage, code, ...error, stack: stack.split("\n") });
  } catch {
    return describe(error); // a property that JSON can't say, such as a circle: as in AWS's client, all are left out
  }
}

// --- Errors

function namedError(name, message, stack) {
  const error = new Error(message);
  Object.defineProperty(error, "name", { value: name });
  if (stack) error.stack = stack;
  return error;
}

function asError(thrown) {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

function describe(thrown) {
  const isError = thrown instanceof Error;
  return JSON.stringify({
    errorType: isError ? thrown.name : typeof thrown,
    errorMessage: isError ? thrown.message : String(thrown),
    trace: isError ? (thrown.stack ?? "").split("\n") : [],
  });
}

// What nobody catches is reported for the invocation under way, or for the init phase, and ends the process. The report
// has a connection of its own: between two invocations the other one waits for the next of them. That one is then failed
// by the end of the process.
async function reportAndExit(title, error, exitStatus) {
  ending = true;
  try {
    logError(title, asError(error));
    await request("POST", requestId ? `invocation/${requestId}/error` : "init/error", describe(error), false);
  } finally {
    process.exit(exitStatus);
  }
}

// --- The handler

async function load(name) {
  const [, folder, moduleName, functionPath] = name.match(/^(.*\/)?([^./]*)\.([^/]*)$/) ?? [];
  if (!functionPath) throw namedError("Runtime.MalformedHandlerName", "Bad handler");
  const module = await importModule(path.join(folder ?? "", moduleName));
  const handler = find(functionPath, module) ?? find(functionPath, module.default);
  if (handler === undefined) throw namedError("Runtime.HandlerNotFound", `${name} is undefined or not exported`);
  if (typeof handler !== "function") throw namedError("Runtime.HandlerNotFound", `${name} is not a function`);
  return handler;
}

function find(dottedPath, exported) {
  return dottedPath.split(".").reduce((value, key) => value?.[key], exported);
}

async function importModule(name) {
  const base = path.resolve(taskRoot, name);
  const extension = ["", ".js", ".mjs", ".cjs"].find((candidate) => fs.existsSync(base + candidate));
  try {
    const file = extension === undefined ? require.resolve(name, { paths: [taskRoot] }) : base + extension;
    return await import(pathToFileURL(file));
  } catch (error) {
    if (error instanceof SyntaxError) throw namedError("Runtime.UserCodeSyntaxError", String(error), error.stack);
    if (error.code === "MODULE_NOT_FOUND") throw namedError("Runtime.ImportModuleError", String(error));
    throw error;
  }
}

// Resolves with the handler's answer, however it gives it: by a promise, by its callback, or not at all.
function answerOf(handler, event, context) {
  return new Promise((resolve, reject) => {
    const done = (error, result) => (error == null ? resolve(result) : reject(error));
    const callback = (error, result) => {
      if (error == null && context.callbackWaitsForEmptyEventLoop) whenNothingIsLeftToDo = () => resolve(result);
      else done(error, result);
    };
    Object.assign(context, { done, succeed: resolve, fail: (error) => reject(error ?? "handled") });
    whenNothingIsLeftToDo = () => resolve(null);
    const returned = handler(event, context, callback);
    if (typeof returned?.then === "function") returned.then(resolve, reject);
  });
}

function contextFrom(headers) {
  const deadlineMs = Number(headers["lambda-runtime-deadline-ms"]);
  const clientContext = headers["lambda-runtime-client-context"];
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: clientContext && JSON.parse(clientContext),
    identity: undefined,
    invokedFunctionArn: headers["lambda-runtime-invoked-function-arn"],
    awsRequestId: headers["lambda-runtime-aws-request-id"],
    getRemainingTimeInMillis: () => deadlineMs - Date.now(),
  };
}

async function serve(handler) {
  while (!ending) {
    const { headers, body } = await request("GET", "invocation/next");
    if (ending) return;
    const context = contextFrom(headers);
    requestId = context.awsRequestId;
    setTraceId(headers["lambda-runtime-trace-id"]);
    try {
      const answer = await answerOf(handler, JSON.parse(body), context);
      await post(`invocation/${requestId}/response`, JSON.stringify(answer) ?? "null");
    } catch (error) {
      logError("Invoke Error", asError(error));
      await post(`invocation/${requestId}/error`, describe(error));
    }
    whenNothingIsLeftToDo = () => {};
  }
}

function setTraceId(traceId) {
  if (traceId) process.env._X_AMZN_TRACE_ID = traceId;
  else delete process.env._X_AMZN_TRACE_ID;
}

patchConsole();
process.on("uncaughtException", (error) => reportAndExit("Uncaught Exception", error, 129));
process.on("unhandledRejection", (reason) => {
  const stack = reason instanceof Error ? reason.stack : undefined;
  const error = namedError("Runtime.UnhandledPromiseRejection", String(reason), stack);
  return reportAndExit("Unhandled Promise Rejection", error, 128);
});
process.on("beforeExit", () => whenNothingIsLeftToDo());

load(process.argv[2]).then(serve, (error) => reportAndExit("Uncaught Exception", error, 129));
