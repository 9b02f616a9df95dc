// Optional: a short, quiet tone when a message arrives in a background page.

import { preferences } from "./page.js";

const PAUSE_MS = 3000; // between tones, so that a burst makes one
let last = 0;

if (preferences.sounds) {
  document.addEventListener("message-arrived", () => {
    const isAway = document.hidden || !document.hasFocus();
    if (!isAway || Date.now() - last < PAUSE_MS) return;
    last = Date.now();
    play();
  });
}

function play() {
  const audio = new AudioContext();
  const [tone, loudness] = [audio.createOscillator(), audio.createGain()];
  tone.frequency.value = 660;
  loudness.gain.setValueAtTime(0.08, audio.currentTime);
  loudness.gain.exponentialRampToValueAtTime(0.0001, audio.currentTime + 0.35);
  tone.connect(loudness).connect(audio.destination);
  tone.start();
  tone.stop(audio.currentTime + 0.35);
  tone.onended = () => audio.close();
}
