// A short, quiet tone for a message that arrives in a page that is not in front, for who has asked for it.

import { preferences } from "./page.js";

const PAUSE = 3000; // milliseconds between tones: a burst makes one
let last = 0;

if (preferences.sounds) {
  document.addEventListener("message-arrived", () => {
    const isAway = document.hidden || !document.hasFocus();
    if (!isAway || Date.now() - last < PAUSE) return;
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
