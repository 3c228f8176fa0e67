"""Synthetic scikit-learn, XGBoost and LightGBM models, trained on random numbers and saved by their own programs."""

import sys
import warnings

import joblib
import lightgbm
import numpy as np
import xgboost
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

warnings.simplefilter("ignore")
folder = sys.argv[1]
x = np.random.default_rng(7).normal(0, 1, (300, 5)).astype("f")
two = (x[:, 0] + x[:, 1] * x[:, 2] > 0).astype(int)
three = (x[:, 0] > 0) * 1 + (x[:, 1] > 0) * 1
gaps = np.where(
    np.random.default_rng(1).random(x.shape) < 0.1, np.nan, x
)  # missing values have a way of their own
kinds = np.concatenate([x[:, :4], three[:, None]], axis=1)
said = ["Pumpe LÄUFT heiß", "Lager ist ölig", "alles gut", "Öl am Boden", "LÄRM im Lager", "wie neu"]
models = {
    "logistic": make_pipeline(StandardScaler(), LogisticRegression()).fit(x, two),
    "forest": RandomForestClassifier(20).fit(x, np.array(["a", "b", "c"])[three]),
    "isolation": IsolationForest(random_state=0).fit(x),
    "boosting": GradientBoostingRegressor().fit(x, x[:, 0]),
    "oneclass": OneClassSVM().fit(x),
    "ridge": Ridge().fit(x, x[:, :2]),
    "kmeans": KMeans(3, n_init=1).fit(x),
    "pca": PCA(2).fit(x),
    "severalpipe": make_pipeline(StandardScaler(), MultiOutputClassifier(LogisticRegression())).fit(
        x, np.stack([three, two], axis=1)
    ),
    "severaltrees": RandomForestClassifier(5, random_state=0).fit(x, np.stack([three, 2 - three], axis=1)),
    "texts": make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(said, [0, 1, 2, 1, 0, 2]),
    "xgbpipe": make_pipeline(StandardScaler(), xgboost.XGBClassifier(n_estimators=10)).fit(x, two),
    "lgbpipe": make_pipeline(StandardScaler(), lightgbm.LGBMClassifier(n_estimators=10, verbose=-1)).fit(
        x, two
    ),
    "histtwo": HistGradientBoostingClassifier(max_iter=20).fit(gaps, two),
    "histthree": HistGradientBoostingClassifier(max_iter=20).fit(x, np.array(["a", "b", "c"])[three]),
    "histpipe": make_pipeline(StandardScaler(), HistGradientBoostingRegressor(max_iter=20)).fit(
        gaps, x[:, 0]
    ),
    "histcounts": HistGradientBoostingRegressor(loss="poisson", max_iter=20).fit(x, np.abs(x[:, 0])),
    "histkinds": HistGradientBoostingRegressor(categorical_features=[4], max_iter=5).fit(kinds, x[:, 0]),
}
for name, model in models.items():
    joblib.dump(model, f"{folder}/{name}.joblib", compress=3 if name == "forest" else 0)
data = xgboost.DMatrix(x, x[:, 0])
xgboost.train({"objective": "reg:squarederror"}, data, 10).save_model(f"{folder}/xgb.json")
several = {"objective": "multi:softprob", "num_class": 3}
xgboost.train(several, xgboost.DMatrix(x, three), 10).save_model(f"{folder}/xgb.ubj")
binary = {"objective": "binary", "verbose": -1}
lightgbm.train(binary, lightgbm.Dataset(x, two), 10).save_model(f"{folder}/lgb.txt")
