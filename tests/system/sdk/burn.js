// burn.js continuous|transaction DSN SECONDS - a program that spends its time in one function.
// Run by sys_sdk_node.py in a folder of its own, with the SDK as it comes.
'use strict';
const Sentry = require('@sentry/node');
const { nodeProfilingIntegration } = require('@sentry/profiling-node');

function burnHere(until) {
  let value = 1;
  while (performance.now() < until) {
    for (let i = 0; i < 1000; i++) value = (value * 48271) % 2147483647;
  }
  return value;
}

// A tenth of the time goes elsewhere, so that a wrong winner is possible.
async function stroll(seconds) {
  await new Promise((resolve) => setTimeout(resolve, seconds * 100));
  return burnHere(performance.now() + seconds * 900);
}

const modes = {
  async continuous(dsn, seconds) {
    Sentry.init({
      dsn, environment: 'end-to-end', release: 'burn@1', integrations: [nodeProfilingIntegration()],
      profileSessionSampleRate: 1.0, profileLifecycle: 'manual',
    });
    Sentry.profiler.startProfiler();
    await stroll(seconds);
    Sentry.profiler.stopProfiler();
  },
  async transaction(dsn, seconds) {
    Sentry.init({
      dsn, environment: 'end-to-end', release: 'burn@1', integrations: [nodeProfilingIntegration()],
      tracesSampleRate: 1.0, profilesSampleRate: 1.0,
    });
    await Sentry.startSpan({ name: 'burn', op: 'test' }, () => stroll(seconds));
  },
};

const [mode, dsn, seconds] = process.argv.slice(2);
modes[mode](dsn, Number(seconds)).then(() => Sentry.flush(20000)).then(
  (sent) => process.exit(sent ? 0 : 1),
  (error) => { console.error(error); process.exit(1); },
);
